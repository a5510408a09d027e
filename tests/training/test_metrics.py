"""What is watched: one metric that does not depend on batches, and the source's that does."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiledseg.training.metrics import Dice, DiceCoefficient

SHAPE = (6, 8, 8, 1)


@pytest.fixture
def pixels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    share = np.array([0.0, 0.1, 0.9, 0.5, 0.3, 1.0]).reshape(6, 1, 1, 1)
    target = (rng.random(SHAPE) < share).astype(np.float32)
    prediction = np.clip(target * 0.3 + rng.random(SHAPE) * 0.7, 0, 1).astype(np.float32)
    return target, prediction


def source_dice_coef(target: np.ndarray, prediction: np.ndarray) -> float:
    """The source experiments' losses.dice_coef, written in NumPy."""
    target, prediction = target.ravel().astype(np.float64), prediction.ravel().astype(np.float64)
    return float(
        (2.0 * np.sum(target * prediction) + 1.0) / (np.sum(target) + np.sum(prediction) + 1.0)
    )


def hard_dice(target: np.ndarray, prediction: np.ndarray) -> float:
    mask = prediction >= 0.5
    both = target.sum() + mask.sum()
    return float(2 * np.logical_and(target, mask).sum() / both) if both else 1.0


def over_batches(
    metric: keras.Metric, target: np.ndarray, prediction: np.ndarray, cuts: list[int]
) -> float:
    metric.reset_state()
    for start, stop in pairwise([0, *cuts, len(target)]):
        metric.update_state(target[start:stop], prediction[start:stop])
    return float(metric.result())


class TestDice:
    @settings(max_examples=20)
    @given(cuts=st.lists(st.integers(1, 5), unique=True).map(sorted))
    def test_does_not_depend_on_how_images_are_batched(self, cuts):
        rng = np.random.default_rng(len(cuts))
        target = (rng.random(SHAPE) < rng.random((6, 1, 1, 1))).astype(np.float32)
        prediction = rng.random(SHAPE).astype(np.float32)
        assert over_batches(Dice(), target, prediction, cuts) == pytest.approx(
            hard_dice(target, prediction)
        )
        assert over_batches(Dice(), target, prediction, cuts) == over_batches(
            Dice(), target, prediction, []
        )

    def test_the_soft_one_does(self, pixels):
        """Else the test above would prove nothing."""
        one, many = (over_batches(DiceCoefficient(), *pixels, cuts) for cuts in ([], [1, 2, 4]))
        assert abs(one - many) > 0.01

    @pytest.mark.parametrize(
        ("target", "prediction", "dice"),
        [(0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0), (1, 1, 1.0), (0, 0.49999, 1.0), (1, 0.5, 1.0)],
    )
    def test_corners(self, target, prediction, dice):
        metric = Dice()
        metric.update_state(np.full(SHAPE, target), np.full(SHAPE, prediction, np.float32))
        assert float(metric.result()) == dice

    def test_is_one_before_anything_was_seen_and_after_a_reset(self, pixels):
        metric = Dice()
        assert float(metric.result()) == 1.0
        metric.update_state(*pixels)
        assert float(metric.result()) < 1.0
        metric.reset_state()
        assert float(metric.result()) == 1.0

    def test_one_pixel_counts_beyond_what_float32_can_count_to(self):
        """2**24 + 1 is no float32: a plain sum would lose every pixel after the first batch."""
        assert np.float32(2**24) + np.float32(1) == np.float32(2**24)
        metric = Dice()
        hit, empty = np.ones((1, 1, 1, 1), np.float32), np.zeros((1, 1, 1, 1), np.float32)
        metric.areas.assign([[[4096, 0]]] * 4)  # 2**24 pixels, all right
        for _ in range(256):
            metric.update_state(hit, empty)  # 2**8 missed, one at a time
        digits = keras.ops.convert_to_numpy(metric.areas)
        more = 2**24 + 2**8
        assert (digits[:, 0] @ [4096, 1]).tolist() == [2**24, more, 2**24, more]
        assert float(metric.result()) == pytest.approx(2**25 / (2**25 + 2**8), rel=1e-7)

    def test_a_large_batch_is_counted_to_the_pixel(self):
        """12 images of 1536 x 1536, 28 megapixels: odd counts above 2**24 are no float32."""
        target = np.ones((12, 1536, 1536, 1), bool)
        target[3, 5, 7] = target[5, 1, 1] = target[11, 0, 0] = False
        metric = Dice()
        metric.update_state(target, target.astype(np.float32))
        digits = keras.ops.convert_to_numpy(metric.areas)
        marked, pixels = 12 * 1536**2 - 3, 12 * 1536**2
        assert (digits[:, 0] @ [4096, 1]).tolist() == [marked, marked, marked, pixels]
        assert float(metric.result()) == 1.0

    @settings(max_examples=25)
    @given(counts=st.lists(st.integers(0, 4096), min_size=1, max_size=40))
    def test_digits_stay_small_and_add_up(self, counts):
        metric = Dice()
        for count in counts:
            row = np.zeros((1, 64, 64, 1), np.float32)
            row.reshape(-1)[:count] = 1
            metric.update_state(row, row)
        digits = keras.ops.convert_to_numpy(metric.areas)
        assert (digits[..., 1] < 4096).all()
        assert (digits[:, 0] @ [4096, 1]).tolist() == [*[sum(counts)] * 3, 4096 * len(counts)]

    def test_takes_probabilities_of_half_precision(self, pixels):
        target, prediction = pixels
        metric = Dice()
        metric.update_state(target, keras.ops.cast(prediction, "bfloat16"))
        rounded = keras.ops.convert_to_numpy(
            keras.ops.cast(keras.ops.cast(prediction, "bfloat16"), "float32")
        )
        assert float(metric.result()) == pytest.approx(hard_dice(target, rounded))


class TestDiceCoefficient:
    def test_equals_the_source_definition_on_one_batch(self, pixels):
        found = over_batches(DiceCoefficient(), *pixels, [])
        assert found == pytest.approx(source_dice_coef(*pixels), rel=1e-6)

    def test_is_the_mean_over_batches_of_whatever_size(self, pixels):
        target, prediction = pixels
        batches = [
            source_dice_coef(target[:1], prediction[:1]),
            source_dice_coef(target[1:], prediction[1:]),
        ]
        found = over_batches(DiceCoefficient(), target, prediction, [1])
        assert found == pytest.approx(np.mean(batches), rel=1e-6)

    @pytest.mark.parametrize(
        ("target", "prediction", "value"),
        [(0, 0, 1.0), (1, 1, 1.0), (0, 1, 1 / 385), (1, 0, 1 / 385)],
    )
    def test_corners(self, target, prediction, value):
        metric = DiceCoefficient()
        metric.update_state(np.full(SHAPE, target), np.full(SHAPE, prediction))
        assert float(metric.result()) == pytest.approx(value)


@pytest.mark.parametrize(("kind", "name"), [(Dice, "dice"), (DiceCoefficient, "dice_coef")])
def test_a_metric_has_its_name_in_the_history_and_can_be_saved(kind, name):
    assert kind().name == name
    saved = keras.saving.serialize_keras_object(kind())
    again = keras.saving.deserialize_keras_object(saved)
    assert type(again) is kind
    assert again.name == name
