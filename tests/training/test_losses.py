"""Losses have the values of their formulas, and gradients that a network can follow."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tiledseg.config import TrainingSettings
from tiledseg.config.training import LOSS_SYNONYMS
from tiledseg.training.losses import (
    LOSSES,
    CrossentropyOverlapLoss,
    OverlapLoss,
    TverskyLoss,
    make_loss,
)
from tiledseg.training.overlap import soft_areas, soft_dice, soft_iou, soft_tversky
from tiledseg.training.similarity import structural_similarity

SHAPE = (2, 4, 4, 1)
LEAST, MOST = np.float32(1e-7), np.float32(1 - 1e-7)  # Keras clips probabilities to them
MASKS = hnp.arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 1.0]))
PROBABILITIES = hnp.arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))

EMPTY, FULL = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
ONE_PIXEL = np.zeros(SHAPE, np.float32)
ONE_PIXEL[1, 2, 3] = 1.0
CORNERS = {"empty": EMPTY, "full": FULL, "one pixel": ONE_PIXEL}


TOLERANCES = {"basnet_hybrid": 1e-4}
"""A variance of float32 is a difference of squares, beside a constant of 9e-4."""
LOOKS_AROUND = {"basnet_hybrid"}
"""Structure is of a window: a pixel may be pushed to make it more alike."""


def by_numpy(name: str, target: np.ndarray, prediction: np.ndarray) -> float:
    """The losses once more, in float64 and pixel by pixel."""
    clipped = np.clip(prediction, LEAST, MOST).astype(np.float64).ravel()
    target, prediction = target.astype(np.float64).ravel(), prediction.astype(np.float64).ravel()
    inside = sum(a * b for a, b in zip(target, prediction, strict=True))
    both = target.sum() + prediction.sum()
    chance = np.where(target > 0, clipped, 1 - clipped)
    wrong = 0.7 * (target.sum() - inside) + 0.3 * (prediction.sum() - inside)
    parts = {
        "bce": -np.mean(target * np.log(clipped) + (1 - target) * np.log(1 - clipped)),
        "dice": 1 - (2 * inside + 1) / (both + 1),
        "iou": 1 - (inside + 1) / (both - inside + 1),
        "focal": -np.mean((1 - chance) ** 2 * np.log(chance)),
        "tversky": 1 - (inside + 1) / (inside + wrong + 1),
        "ssim": 1 - ssim_by_numpy(target.reshape(SHAPE), prediction.reshape(SHAPE))
        if name == "basnet_hybrid"
        else 0.0,
    }
    names = name.replace("basnet_hybrid", "bce_ssim_iou").split("_")
    return float(np.mean([parts[part] for part in names]))


def ssim_by_numpy(target: np.ndarray, prediction: np.ndarray) -> float:
    """Structural similarity, window by window, with deviations from the window's mean."""
    side = min(11, *(size - 1 + size % 2 for size in target.shape[1:3]))
    line = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    found = []
    for image in range(len(target)):
        for row in range(target.shape[1] - side + 1):
            for column in range(target.shape[2] - side + 1):
                window = (image, slice(row, row + side), slice(column, column + side), 0)
                a, b = target[window].astype(np.float64), prediction[window].astype(np.float64)
                mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                a, b = a - mean_a, b - mean_b
                found.append(
                    (2 * mean_a * mean_b + 1e-4)
                    * (2 * (weights * a * b).sum() + 9e-4)
                    / (mean_a**2 + mean_b**2 + 1e-4)
                    / ((weights * (a * a + b * b)).sum() + 9e-4)
                )
    return float(np.mean(found))


def value(name: str, target: np.ndarray, prediction: np.ndarray) -> float:
    return float(LOSSES[name]()(target, prediction))


def test_the_table_holds_what_settings_accept():
    accepted = TrainingSettings.model_fields["loss"].annotation
    assert set(LOSSES) == set(accepted.__args__)
    assert set(LOSS_SYNONYMS.values()) == set(LOSSES)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("binary_crossentropy", "bce"),
        ("categorical_crossentropy", "bce"),
        ("bce_dice_loss", "bce_dice"),
        ("categorical_focal_crossentropy", "focal"),
    ],
)
def test_other_names_are_taken(given, kept):
    assert TrainingSettings.model_validate({"loss": given}).loss == kept


class TestByHand:
    """Target 1 1 0 0, probability 1/2 1 1/2 0: 3/2 inside, areas 2 and 2."""

    target = np.array([1, 1, 0, 0], np.float32).reshape(1, 2, 2, 1)
    prediction = np.array([0.5, 1, 0.5, 0], np.float32).reshape(1, 2, 2, 1)

    @pytest.mark.parametrize(
        ("name", "loss"),
        [
            ("dice", 1 - 4 / 5),
            ("iou", 1 - 2.5 / 3.5),
            ("bce", np.log(2) / 2),
            ("bce_dice", (np.log(2) / 2 + 1 / 5) / 2),
            ("bce_iou", (np.log(2) / 2 + 2 / 7) / 2),
            ("focal", np.log(2) / 8),
            ("tversky", 1 - 2.5 / 3.0),
        ],
    )
    def test_values(self, name, loss):
        assert value(name, self.target, self.prediction) == pytest.approx(loss, abs=1e-6)

    def test_counts(self):
        areas = soft_areas(self.target, self.prediction)
        assert [float(area[0]) for area in areas[:3]] == [1.5, 2.0, 2.0]

    def test_smoothing(self):
        assert float(soft_dice(self.target, self.prediction, smooth=2.0)) == pytest.approx(5 / 6)
        assert float(soft_iou(self.target, self.prediction, smooth=0.5)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    @given(target=MASKS, prediction=PROBABILITIES)
    def test_equals_its_formula(self, name, target, prediction):
        assert value(name, target, prediction) == pytest.approx(
            by_numpy(name, target, prediction), rel=1e-4, abs=TOLERANCES.get(name, 1e-6)
        )

    @pytest.mark.parametrize("target", CORNERS)
    @pytest.mark.parametrize("prediction", CORNERS)
    def test_corners(self, name, target, prediction):
        found = value(name, CORNERS[target], CORNERS[prediction])
        assert found == pytest.approx(
            by_numpy(name, CORNERS[target], CORNERS[prediction]), rel=1e-3, abs=1e-6
        )
        if target == prediction:
            assert found == pytest.approx(0, abs=1e-6)
        else:
            assert found > 0.03

    @pytest.mark.parametrize("target", CORNERS)
    @pytest.mark.parametrize("level", [0.0, 1e-7, 0.3, 1.0 - 1e-7, 1.0])
    def test_gradients_are_finite_and_point_towards_the_target(self, name, target, level):
        """No pixel's probability is pushed away from its target."""
        mask = CORNERS[target]
        gradient = gradient_of(name, mask, np.full(SHAPE, level, np.float32))
        assert np.isfinite(gradient).all()
        if name in LOOKS_AROUND:
            return
        assert (gradient[mask > 0] <= 0).all()
        if mask.any():
            assert (gradient[mask == 0] >= 0).all()
        if 0 < level < 1:
            assert np.abs(gradient).max() > 0

    def test_a_step_along_the_gradient_lowers_it(self, name):
        rng = np.random.default_rng(4)
        target = (rng.random(SHAPE) < 0.4).astype(np.float32)
        prediction = rng.uniform(0.2, 0.8, SHAPE).astype(np.float32)
        better = prediction - 0.01 * gradient_of(name, target, prediction)
        assert value(name, target, better) < value(name, target, prediction)

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float64"])
    def test_target_may_be_of_any_dtype(self, name, dtype):
        target, prediction = ONE_PIXEL, np.full(SHAPE, 0.25, np.float32)
        expected = value(name, target, prediction)
        assert value(name, target.astype(dtype), prediction) == pytest.approx(expected)

    def test_comes_back_from_its_configuration(self, name):
        loss = LOSSES[name]()
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
        prediction = np.full(SHAPE, 0.3, np.float32)
        assert float(again(ONE_PIXEL, prediction)) == float(loss(ONE_PIXEL, prediction))


@pytest.mark.parametrize("name", LOSSES)
def test_a_network_of_any_input_size_learns_with_it(name):
    """In its graph, height and width are unknown."""
    image = keras.Input((None, None, 1))
    output = keras.layers.Conv2D(1, 1, activation="sigmoid")(image)
    network = keras.Model(image, output)
    network.compile(keras.optimizers.Adam(0.1), make_loss(TrainingSettings(loss=name)))
    target = np.zeros((4, 32, 32, 1), np.uint8)
    target[:, 8:20, 8:24] = 1
    losses = network.fit(target - 0.5, target, epochs=12, batch_size=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def gradient_of(name: str, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    variable = tf.Variable(prediction)
    with tf.GradientTape() as tape:
        loss = LOSSES[name]()(target, variable)
    return np.asarray(tape.gradient(loss, variable))


class TestArguments:
    def test_come_back_from_a_configuration(self):
        for kind in (OverlapLoss, CrossentropyOverlapLoss):
            given = {
                "measure": "iou", "smooth": 0.25, "per_image": True,
                "class_weights": [1.0, 2.0], "name": "mine",
            }  # fmt: skip
            loss = kind(**given)
            again = kind.from_config(loss.get_config())
            assert again.get_config() == given
            prediction = np.full(SHAPE, 0.3, np.float32)
            assert float(again(ONE_PIXEL, prediction)) == float(loss(ONE_PIXEL, prediction))
            assert float(kind()(ONE_PIXEL, prediction)) != float(loss(ONE_PIXEL, prediction))

    @pytest.mark.parametrize("kind", [OverlapLoss, CrossentropyOverlapLoss])
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"measure": "jaccard"}, "measure must be 'dice' or 'iou', got 'jaccard'"),
            ({"smooth": 0.0}, r"smooth must be positive, got 0\.0"),
            ({"smooth": -1}, "smooth must be positive, got -1"),
            ({"smooth": float("nan")}, "smooth must be positive, got nan"),
        ],
    )
    def test_are_checked(self, kind, arguments, words):
        with pytest.raises(ValueError, match=words):
            kind(**arguments)


@pytest.mark.parametrize("name", ["dice", "iou", "bce_dice", "bce_iou", "basnet_hybrid", "tversky"])
def test_overlap_per_image_is_the_mean_over_images(name):
    rng = np.random.default_rng(5)
    target = (rng.random(SHAPE) < 0.3).astype(np.float32)
    prediction = rng.random(SHAPE, np.float32)
    settings = TrainingSettings(loss=name, overlap_per_image=True, overlap_smooth=3.0)
    loss = make_loss(settings)
    alone = [float(loss(target[[index]], prediction[[index]])) for index in range(len(target))]
    assert float(loss(target, prediction)) == pytest.approx(np.mean(alone), rel=1e-5)
    batch = make_loss(settings.model_copy(update={"overlap_per_image": False}))
    assert float(batch(target, prediction)) != pytest.approx(np.mean(alone), rel=1e-3)


def test_an_invented_object_costs_as_much_beside_many_as_alone_on_its_crop():
    """With smoothing of an object's size, a crop without objects has a gradient to follow."""
    crowded, lonely = FULL[:1], EMPTY[:1]
    target = np.concatenate([crowded, lonely])
    prediction = np.concatenate([crowded, np.full_like(lonely, 0.5)])
    settings = TrainingSettings(loss="dice", overlap_smooth=8.0)
    of_batch = float(make_loss(settings)(target, prediction))
    of_image = float(
        make_loss(settings.model_copy(update={"overlap_per_image": True}))(target, prediction)
    )
    assert of_batch == pytest.approx(1 - (2 * 16 + 8) / (16 + 24 + 8))
    assert of_image == pytest.approx((1 - 8 / 16) / 2)


def test_overlap_is_of_the_batch_and_not_of_its_images():
    """One image without objects does not drag the batch to a Dice of 0 or 1."""
    target = np.concatenate([EMPTY, FULL])
    prediction = np.concatenate([np.full(SHAPE, 0.5, np.float32), FULL])
    whole = (2 * 32 + 1) / (32 + 32 + 16 + 1)
    assert float(soft_dice(target, prediction)) == pytest.approx(whole)


class TestTversky:
    target = np.array([1, 1, 1, 0], np.float32).reshape(1, 2, 2, 1)
    prediction = np.array([1, 0, 0, 1], np.float32).reshape(1, 2, 2, 1)

    def test_beta_weighs_what_was_missed(self):
        """One found, two missed, one invented."""
        found = float(soft_tversky(self.target, self.prediction, 0.9, 1e-9))
        assert found == pytest.approx(1 / (1 + 0.9 * 2 + 0.1 * 1))

    def test_half_and_half_is_dice(self):
        found = float(soft_tversky(self.target, self.prediction, 0.5, 1.0))
        assert found == pytest.approx(float(soft_dice(self.target, self.prediction, 2.0)))

    @pytest.mark.parametrize("arguments", [{"beta": 1.1}, {"beta": float("nan")}, {"smooth": 0}])
    def test_arguments_are_checked(self, arguments):
        with pytest.raises(ValueError, match="must be"):
            TverskyLoss(**arguments)


def test_settings_reach_focal_and_tversky():
    prediction = np.full(SHAPE, 0.3, np.float32)
    for name, key, plain in (("focal", "focal_gamma", 0.0), ("tversky", "tversky_beta", 0.5)):
        settings = TrainingSettings(loss=name)
        changed = settings.model_copy(update={key: plain})
        given, other = (
            float(make_loss(each)(ONE_PIXEL, prediction)) for each in (settings, changed)
        )
        assert given != pytest.approx(other, rel=1e-3)
    unfocused = float(
        make_loss(TrainingSettings(loss="focal", focal_gamma=0.0))(ONE_PIXEL, prediction)
    )
    assert unfocused == pytest.approx(value("bce", ONE_PIXEL, prediction))


class TestStructuralSimilarity:
    @pytest.mark.parametrize("shape", [(2, 24, 17, 1), (1, 11, 11, 1), (1, 8, 5, 1)])
    def test_equals_its_formula(self, shape):
        rng = np.random.default_rng(7)
        target = (rng.random(shape) < 0.5).astype(np.float32)
        prediction = (0.5 * target + 0.5 * rng.random(shape)).astype(np.float32)
        found = float(structural_similarity(target, prediction)[0])
        assert found == pytest.approx(ssim_by_numpy(target, prediction), rel=1e-4)

    def test_equals_tensorflows(self):
        import tensorflow as tf

        rng = np.random.default_rng(8)
        one, other = rng.random((2, 3, 32, 40, 2), np.float32)
        for channel, found in enumerate(structural_similarity(one, other)):
            pair = (one[..., [channel]], other[..., [channel]])
            expected = float(tf.reduce_mean(tf.image.ssim(*pair, max_val=1.0)))
            assert float(found) == pytest.approx(expected, abs=1e-5)

    def test_of_an_image_and_itself_and_its_opposite(self):
        mask = np.zeros((1, 32, 32, 1), np.float32)
        mask[:, 8:20, 8:20] = 1
        assert float(structural_similarity(mask, mask)[0]) == pytest.approx(1, abs=1e-5)
        assert float(structural_similarity(mask, 1 - mask)[0]) < 0.05
