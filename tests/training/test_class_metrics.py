"""Metrics of several classes agree with counts by NumPy, whatever the batches."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiledseg.config import TrainingSettings
from tiledseg.masks.classes import IGNORED
from tiledseg.training.metrics import COUNTED, DiceCoefficient, IouCoefficient, make_metrics

CLASSES = 4
SHAPE = (5, 9, 8, 1)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, SHAPE).astype(np.float32)
    labels[rng.random(SHAPE) < 0.2] = IGNORED
    return labels, rng.dirichlet(np.ones(CLASSES), SHAPE[:3]).astype(np.float32)


def by_numpy(name: str, labels: np.ndarray, prediction: np.ndarray, label: int) -> float:
    known = labels[..., 0] != IGNORED
    target = (labels[..., 0] == label)[known]
    found = (prediction.argmax(-1) == label)[known]
    both, neither = (target & found).sum(), (~target & ~found).sum()
    part, whole = {
        "dice": (2 * both, target.sum() + found.sum()),
        "iou": (both, (target | found).sum()),
        "sensitivity": (both, target.sum()),
        "specificity": (neither, (~target).sum()),
        "binary_accuracy": ((target == found).sum(), target.size),
    }[name]
    return part / whole if whole and (target | found).any() else math.nan


def average(values: list[float]) -> float:
    """The mean of those that are numbers."""
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def over_batches(metric: keras.Metric, labels, prediction, size: int) -> float:
    for start in range(0, len(labels), size):
        metric.update_state(labels[start : start + size], prediction[start : start + size])
    return float(metric.result())


@pytest.mark.parametrize("name", COUNTED)
class TestCounted:
    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_equals_numpy_whatever_the_batch_size(self, name, size):
        labels, prediction = drawn(size)
        of_class = [by_numpy(name, labels, prediction, label) for label in range(CLASSES)]
        kind = COUNTED[name]
        assert over_batches(kind(CLASSES), labels, prediction, size) == pytest.approx(
            np.mean(of_class[1:]), rel=1e-6
        )
        assert over_batches(kind(CLASSES, 2), labels, prediction, size) == pytest.approx(
            of_class[2], rel=1e-6
        )

    def test_one_class_is_cut_at_half(self, name):
        labels, prediction = drawn(3)
        labels[labels != IGNORED] = labels[labels != IGNORED] > 1
        two = np.concatenate([1 - prediction[..., :1], prediction[..., :1]], axis=-1)
        expected = by_numpy(name, labels, two, 1)
        assert over_batches(COUNTED[name](), labels, prediction[..., :1], 2) == pytest.approx(
            expected
        )

    def test_is_one_for_one_class_where_nothing_is_known_and_undefined_for_several(self, name):
        labels, prediction = drawn(4)
        for classes, value in ((1, 1.0), (CLASSES, math.nan)):
            metric = COUNTED[name](classes)
            metric.update_state(np.full_like(labels, IGNORED), prediction[..., :classes])
            assert float(metric.result()) == pytest.approx(value, nan_ok=True)

    def test_a_rare_class_that_is_never_found_is_none_of_the_mean_where_it_is_nowhere(self, name):
        labels, prediction = drawn(6)
        labels[labels == 3], prediction[..., 3] = 0, 0
        of_class = [by_numpy(name, labels, prediction, label) for label in range(CLASSES)]
        assert math.isnan(of_class[3])
        found = over_batches(COUNTED[name](CLASSES), labels, prediction, 2)
        assert found == pytest.approx(np.mean(of_class[1:3]), rel=1e-6)
        assert math.isnan(over_batches(COUNTED[name](CLASSES, 3), labels, prediction, 2))
        labels[0, 0, 0] = 3
        of_class = [by_numpy(name, labels, prediction, label) for label in range(CLASSES)]
        if name in ("dice", "iou", "sensitivity"):
            assert of_class[3] == 0.0
        found = over_batches(COUNTED[name](CLASSES), labels, prediction, 2)
        assert found == pytest.approx(np.mean(of_class[1:]), rel=1e-6)

    @settings(max_examples=15)
    @given(
        target=st.lists(st.sampled_from([0, 0, 1, 2, 3, IGNORED]), min_size=6, max_size=6),
        found=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    )
    def test_equals_numpy_whatever_classes_there_are(self, name, target, found):
        labels = np.array(target, np.float32).reshape(2, 1, 3, 1)
        prediction = np.eye(CLASSES, dtype=np.float32)[np.reshape(found, (2, 1, 3))]
        of_class = [by_numpy(name, labels, prediction, label) for label in range(CLASSES)]
        metric = COUNTED[name](CLASSES)
        metric.update_state(labels, prediction)
        for label, expected in [(None, average(of_class[1:])), *enumerate(of_class)]:
            metric.label = label
            assert float(metric.result()) == pytest.approx(expected, nan_ok=True), label

    def test_comes_back_from_its_configuration(self, name):
        metric = COUNTED[name](CLASSES, 3, "mine")
        saved = keras.saving.serialize_keras_object(metric)
        again = keras.saving.deserialize_keras_object(saved)
        assert (again.name, again.classes, again.label) == ("mine", CLASSES, 3)


@pytest.mark.parametrize(("kind", "power"), [(DiceCoefficient, 2), (IouCoefficient, 1)])
def test_soft_ones_are_means_over_classes_and_not_the_background(kind, power):
    labels, prediction = drawn(5)
    known = labels[..., 0] != IGNORED
    expected = []
    for label in range(1, CLASSES):
        target, soft = (labels[..., 0] == label)[known], prediction[known][:, label].astype(float)
        both, areas = soft[target].sum(), target.sum() + soft.sum()
        below = areas if power == 2 else areas - both
        expected.append((power * both + 1) / (below + 1))
    metric = kind(CLASSES)
    metric.update_state(labels, prediction)
    assert float(metric.result()) == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("kind", [DiceCoefficient, IouCoefficient])
class TestSoft:
    def test_a_class_counts_in_the_batches_that_have_it(self, kind):
        """Of eight batches one has the rare class, which is never found."""
        labels = np.ones((8, 4, 4, 1), np.float32)
        labels[0, 0] = 2
        prediction = np.zeros((8, 4, 4, 3), np.float32)
        prediction[..., 1] = 1.0
        rare = 1 / (4 + 1)  # nothing of 4 pixels, with 1 above and below
        common = over_batches(kind(), (labels == 1) * 1.0, prediction[..., 1:2], 1)
        found = over_batches(kind(3), labels, prediction, 1)
        assert found == pytest.approx((common + rare) / 2, rel=1e-5)

    def test_one_that_is_only_predicted_counts_there(self, kind):
        labels, prediction = np.ones((2, 4, 4, 1), np.float32), np.zeros((2, 4, 4, 3), np.float32)
        prediction[..., 1] = 1.0
        everywhere = over_batches(kind(3), labels, prediction, 1)
        prediction[0, 0, 0] = [0, 0, 1]
        assert over_batches(kind(3), labels, prediction, 1) < everywhere == 1.0

    def test_nothing_but_background_has_none(self, kind):
        labels, prediction = np.zeros((2, 4, 4, 1), np.float32), np.zeros((2, 4, 4, 3), np.float32)
        prediction[..., 0] = 1.0
        assert math.isnan(over_batches(kind(3), labels, prediction, 1))
        assert over_batches(kind(), labels, prediction[..., 1:2], 1) == 1.0

    def test_comes_back_from_its_configuration(self, kind):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(kind(4)))
        assert (type(again), again.name, again.classes) == (kind, kind().name, 4)


def test_what_an_experiment_watches():
    settings = TrainingSettings(metrics=("iou_coef", "sensitivity"))
    names = [metric.name for metric in make_metrics(settings, 3, ["none", "red cell", "nucleus"])]
    assert names == [
        "dice_coef", "iou_coef", "dice", "dice_red_cell", "dice_nucleus",
        "sensitivity", "sensitivity_red_cell", "sensitivity_nucleus",
    ]  # fmt: skip
    plain = [metric.name for metric in make_metrics(TrainingSettings(), 1, ["no", "yes"])]
    assert plain == ["dice_coef", "dice"]
