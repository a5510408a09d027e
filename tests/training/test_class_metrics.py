"""Metrics of several classes agree with counts by NumPy, whatever the batches."""

import keras
import numpy as np
import pytest

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
    return {
        "dice": 2 * both / (target.sum() + found.sum()),
        "iou": both / (target | found).sum(),
        "sensitivity": both / target.sum(),
        "specificity": neither / (~target).sum(),
        "binary_accuracy": (target == found).mean(),
    }[name]


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

    def test_is_one_where_nothing_is_known(self, name):
        labels, prediction = drawn(4)
        metric = COUNTED[name](CLASSES)
        metric.update_state(np.full_like(labels, IGNORED), prediction)
        assert float(metric.result()) == 1.0

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
    metric = kind()
    metric.update_state(labels, prediction)
    assert float(metric.result()) == pytest.approx(np.mean(expected), rel=1e-5)


def test_what_an_experiment_watches():
    settings = TrainingSettings(metrics=("iou_coef", "sensitivity"))
    names = [metric.name for metric in make_metrics(settings, 3, ["none", "red cell", "nucleus"])]
    assert names == [
        "dice_coef", "iou_coef", "dice", "dice_red_cell", "dice_nucleus",
        "sensitivity", "sensitivity_red_cell", "sensitivity_nucleus",
    ]  # fmt: skip
    plain = [metric.name for metric in make_metrics(TrainingSettings(), 1, ["no", "yes"])]
    assert plain == ["dice_coef", "dice"]
