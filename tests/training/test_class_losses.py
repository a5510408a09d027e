"""Losses of several classes, with weights and with pixels whose target is not known."""

import keras
import numpy as np
import pytest

from tiledseg.config import TrainingSettings
from tiledseg.config.experiment import Experiment
from tiledseg.masks.classes import IGNORED
from tiledseg.training.fit import compile_model
from tiledseg.training.losses import LOSSES, Crossentropy, make_loss

CLASSES = 4
SHAPE = (2, 12, 13, 1)
WEIGHTS = [0.5, 1.0, 2.0, 4.0]
LEAST = 1e-7


def drawn(seed: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities (B, H, W, classes), or of the foreground where there are two."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, SHAPE).astype(np.float32)
    logits = rng.normal(0, 2, (*SHAPE[:3], classes)) + 2 * (labels == np.arange(classes))
    powers = np.exp(logits)
    prediction = (powers / powers.sum(-1, keepdims=True)).astype(np.float32)
    return labels, prediction if classes > 2 else prediction[..., 1:]


def certain(labels: np.ndarray) -> np.ndarray:
    return (labels == np.arange(CLASSES)).astype(np.float32)


def by_numpy(name: str, labels: np.ndarray, prediction: np.ndarray, weights: list | None) -> float:
    """The losses once more, in float64 and class by class, over the known pixels alone."""
    known = labels.ravel() != IGNORED
    labels = labels.ravel()[known].astype(int)
    prediction = prediction.reshape(-1, prediction.shape[-1])[known].astype(np.float64)
    if prediction.shape[1] == 1:
        prediction = np.concatenate([1 - prediction, prediction], axis=1)
    count = prediction.shape[1]
    chance = np.clip(prediction[np.arange(len(labels)), labels], LEAST, 1 - LEAST)
    pixel = np.array(weights or [1.0] * count)[labels]
    classes = np.array(weights or [0.0] + [1.0] * (count - 1))

    def per_pixel(costs):
        return (costs * pixel).sum() / pixel.sum() if len(labels) else 0.0

    def per_class(score):
        found = []
        for label in range(count):
            target = labels == label
            found.append(
                score(prediction[target, label].sum(), target.sum(), prediction[:, label].sum())
            )
        return 1 - (classes * found).sum() / classes.sum()

    parts = {
        "bce": per_pixel(-np.log(chance)),
        "focal": per_pixel(-((1 - chance) ** 2) * np.log(chance)),
        "dice": per_class(lambda both, true, soft: (2 * both + 1) / (true + soft + 1)),
        "iou": per_class(lambda both, true, soft: (both + 1) / (true + soft - both + 1)),
        "tversky": per_class(
            lambda both, true, soft: (
                (both + 1) / (1 + both + 0.7 * (true - both) + 0.3 * (soft - both))
            )
        ),
    }
    return float(np.mean([parts[part] for part in name.split("_")]))


FORMULAS = [name for name in LOSSES if name != "basnet_hybrid"]


class TestByHand:
    """Four pixels: 0 taken for 0 (3/4), 1 for 1 (1/2), 2 for 1 (1/2), and one not known."""

    labels = np.array([0, 1, 2, IGNORED], np.float32).reshape(1, 2, 2, 1)
    prediction = np.array(
        [[0.75, 0.25, 0], [0.25, 0.5, 0.25], [0.25, 0.5, 0.25], [0, 0, 1]], np.float32
    ).reshape(1, 2, 2, 3)

    @pytest.mark.parametrize(
        ("name", "loss"),
        [
            ("bce", -np.log(0.75 * 0.5 * 0.25) / 3),
            ("dice", 1 - (2 / 3.25 + 1.5 / 2.5) / 2),  # 1: 1/2 of 1 and 5/4; 2: 1/4 of 1 and 1/2
            ("iou", 1 - (1.5 / 2.75 + 1.25 / 2.25) / 2),
        ],
    )
    def test_values(self, name, loss):
        assert float(LOSSES[name]()(self.labels, self.prediction)) == pytest.approx(loss, rel=1e-6)

    def test_weights(self):
        weights = [0.0, 1.0, 3.0]
        found = float(Crossentropy(class_weights=weights)(self.labels, self.prediction))
        assert found == pytest.approx(-(np.log(0.5) + 3 * np.log(0.25)) / 4)
        found = float(LOSSES["dice"](class_weights=weights)(self.labels, self.prediction))
        assert found == pytest.approx(1 - (2 / 3.25 + 3 * 1.5 / 2.5) / 4)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("classes", [2, CLASSES])
@pytest.mark.parametrize("weighed", [False, True])
def test_equals_its_formula_over_the_known_pixels(name, classes, weighed):
    weights = WEIGHTS[:classes] if weighed else None
    for seed, hidden in ((0, 0.0), (1, 0.3), (2, 0.9)):
        labels, prediction = drawn(seed, classes)
        labels[np.random.default_rng(seed).random(SHAPE) < hidden] = IGNORED
        found = float(LOSSES[name](class_weights=weights)(labels, prediction))
        assert found == pytest.approx(by_numpy(name, labels, prediction, weights), rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [2, CLASSES])
class TestEveryLoss:
    def test_what_is_not_known_has_no_say(self, name, classes):
        labels, prediction = drawn(1, classes)
        labels[:, 3:9, 2:7] = IGNORED
        other = np.where(labels == IGNORED, drawn(2, classes)[1], prediction)
        loss = LOSSES[name](class_weights=WEIGHTS[:classes])
        assert float(loss(labels, prediction)) == pytest.approx(
            float(loss(labels, other)), rel=1e-6
        )
        gradient = gradient_of(loss, labels, prediction)
        hidden = labels[..., 0] == IGNORED
        assert (gradient[hidden] == 0).all()
        assert (np.abs(gradient[~hidden]).max(axis=-1) > 0).all()

    def test_nothing_known_costs_nothing(self, name, classes):
        labels, prediction = drawn(3, classes)
        loss = LOSSES[name]()
        labels[:] = IGNORED
        assert float(loss(labels, prediction)) == pytest.approx(0, abs=1e-6)
        assert (gradient_of(loss, labels, prediction) == 0).all()

    def test_does_not_depend_on_the_order_of_the_batch(self, name, classes):
        labels, prediction = drawn(4, classes)
        loss = LOSSES[name](class_weights=WEIGHTS[:classes])
        turned = float(loss(labels[::-1], prediction[::-1]))
        assert turned == pytest.approx(float(loss(labels, prediction)), rel=1e-6)

    def test_only_ratios_of_weights_count(self, name, classes):
        labels, prediction = drawn(5, classes)
        weights = WEIGHTS[:classes]
        found, doubled, plain = (
            float(LOSSES[name](class_weights=given)(labels, prediction))
            for given in (weights, [2 * weight for weight in weights], None)
        )
        assert doubled == pytest.approx(found, rel=1e-6)
        assert plain != pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
class TestCorners:
    """All of one class, one pixel of another, against certain and uncertain predictions."""

    @pytest.mark.parametrize("target", [0, 3, "one pixel"])
    @pytest.mark.parametrize("prediction", [0, 3, "one pixel", "even"])
    def test_values_and_gradients(self, name, target, prediction):
        labels, predicted = self.labels(target), None
        predicted = np.full((*SHAPE[:3], CLASSES), 1 / CLASSES, np.float32)
        if prediction != "even":
            predicted = certain(self.labels(prediction))
        loss = LOSSES[name]()
        found = float(loss(labels, predicted))
        if name in FORMULAS:
            expected = by_numpy(name, labels, predicted, None)
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)
        assert found == pytest.approx(0, abs=1e-6) if target == prediction else found > 1e-3
        assert np.isfinite(gradient_of(loss, labels, predicted)).all()

    def labels(self, what) -> np.ndarray:
        labels = np.zeros(SHAPE, np.float32)
        if what == "one pixel":
            labels[1, 5, 6] = 2
        else:
            labels[:] = what
        return labels


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradients_are_finite_where_the_network_is_certain(gamma):
    """The slope of a power below 1 has no end at 0."""
    labels, _ = drawn(6)
    for prediction in (certain(labels), certain((labels + 1) % CLASSES)):
        assert np.isfinite(gradient_of(Crossentropy(gamma), labels, prediction)).all()


@pytest.mark.parametrize("weights", [[-1.0, 1.0], [1.0, 0.0], [1.0, float("nan")]])
def test_weights_are_checked(weights):
    with pytest.raises(ValueError, match="class_weights must be 0 or above"):
        Crossentropy(class_weights=weights)


def test_a_network_of_four_classes_learns_with_the_loss_of_all_parts():
    """In its graph, height and width are unknown, and so is that labels have one channel."""
    dataset = {"name": "a", "mask_form": "labels", "classes": list("abcd")}
    experiment = Experiment.model_validate(
        {
            "dataset": dataset,
            "image": {"size": 32},
            "tiling": {"max_tile": 32},
            "model": {"num_classes": 4, "base_filters": 2, "num_layers": 2, "dropout_rate": 0},
            "training": {
                "loss": "basnet_hybrid",
                "learning_rate": 0.02,
                "class_weights": WEIGHTS,
            },
        }
    )
    model = compile_model(experiment)
    labels = np.zeros((2, 32, 32, 1), np.float32)
    labels[:, 8:] = 1
    labels[:, 16:] = 2
    labels[:, 24:] = 3
    labels[0, :2] = IGNORED
    images = np.repeat(labels * 60, 3, axis=-1).astype(np.uint8)
    history = model.fit(images, labels, epochs=5, batch_size=2, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert {"dice", "dice_b", "dice_d", "dice_coef"} <= set(history)
    assert "dice_a" not in history


def test_settings_reach_the_loss():
    labels, prediction = drawn(7)
    weighed = TrainingSettings(loss="focal", focal_gamma=1.0, class_weights=tuple(WEIGHTS))
    found = float(make_loss(weighed)(labels, prediction))
    assert found == float(Crossentropy(1.0, WEIGHTS)(labels, prediction))
    saved = keras.saving.serialize_keras_object(make_loss(weighed))
    again = keras.saving.deserialize_keras_object(saved)
    assert float(again(labels, prediction)) == found


def gradient_of(loss: keras.losses.Loss, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    variable = tf.Variable(prediction)
    with tf.GradientTape() as tape:
        cost = loss(target, variable)
    return np.asarray(tape.gradient(cost, variable))
