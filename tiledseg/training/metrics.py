"""What is watched while a network learns, for one class and for several."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tiledseg.config import TrainingSettings
from tiledseg.training.overlap import soft_dice, soft_iou
from tiledseg.training.target import Tensor, mask_known_target

_BASE = 4096.0


@keras.saving.register_keras_serializable(package="tiledseg")
class DiceCoefficient(keras.metrics.Mean):
    """The source experiments' ``dice_coef``: soft, flattened over a batch, averaged over batches.

    It depends on the batch size; it is kept so that their tables can be compared. Of several
    classes it is the mean, the background left out.
    """

    def __init__(self, name: str = "dice_coef", **options: Any) -> None:
        super().__init__(name=name, **options)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add one batch of labels (B, H, W, 1) and probabilities (B, H, W, K)."""
        super().update_state(soft_dice(y_true, y_pred), sample_weight)


@keras.saving.register_keras_serializable(package="tiledseg")
class IouCoefficient(keras.metrics.Mean):
    """The source experiments' ``iou_coef``: as ``DiceCoefficient``, with the soft IoU."""

    def __init__(self, name: str = "iou_coef", **options: Any) -> None:
        super().__init__(name=name, **options)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add one batch of labels (B, H, W, 1) and probabilities (B, H, W, K)."""
        super().update_state(soft_iou(y_true, y_pred), sample_weight)


@keras.saving.register_keras_serializable(package="tiledseg")
class Dice(keras.metrics.Metric):
    """Dice of masks over all pixels seen since the last reset; subclasses divide other areas.

    One class is cut at 0.5; of several, a pixel has the most probable. Areas are summed over
    batches and divided once, so the value does not depend on how the pixels were grouped into
    batches. Two empty masks score 1. Pixels whose target is not known do not count.

    Float32 counts no further than 2**24, the pixels of one crop of 4096 x 4096. Areas are
    therefore kept as digits to the base 4096, which stay exact up to 68 gigapixels.

    Args:
        classes: Channels of the prediction.
        label: The class that is scored, from 0, the background; None is the mean over all but
            the background. Of one channel, label 1 is the foreground, which None means, too.
        name: Name of the metric.
    """

    def __init__(
        self, classes: int = 1, label: int | None = None, name: str = "dice", **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        self.classes, self.label = classes, label
        # Rows: intersection, target, prediction, all pixels. Columns: classes. Last: 4096s, ones.
        self.areas = self.add_weight(shape=(4, classes, 2), name="areas", initializer="zeros")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add one batch of labels (B, H, W, 1) and probabilities (B, H, W, K)."""
        del sample_weight  # every pixel counts once
        target, known = mask_known_target(y_true, y_pred)
        prediction = ops.cast(y_pred, "float32")
        if self.classes == 1:
            prediction = ops.cast(prediction >= 0.5, "float32")
        else:
            prediction = ops.one_hot(ops.argmax(prediction, axis=-1), self.classes, dtype="float32")
        prediction = prediction * known
        within = tuple(range(1, len(target.shape) - 1))
        sums = [ops.sum(mask, axis=within) for mask in (target * prediction, target, prediction)]
        pixels = ops.broadcast_to(ops.sum(known, axis=within), ops.shape(sums[0]))
        per_image = ops.stack([*sums, pixels])
        added = ops.sum(_digits(per_image), axis=1) + self.areas
        carried = _digits(added[..., 1])
        self.areas.assign(ops.stack([added[..., 0] + carried[..., 0], carried[..., 1]], axis=-1))

    def result(self) -> Tensor:
        """The score in [0, 1], a float32 scalar."""
        scores = self.scores(*ops.unstack(_BASE * self.areas[..., 0] + self.areas[..., 1], num=4))
        if self.classes == 1:
            return scores[0]
        return ops.mean(scores[1:]) if self.label is None else scores[self.label]

    def scores(self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor) -> Tensor:
        """The score of each class, from its areas in pixels; all (K,), float32."""
        del pixels
        return _share(2.0 * inside, target + prediction)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the metric."""
        return {**super().get_config(), "classes": self.classes, "label": self.label}


@keras.saving.register_keras_serializable(package="tiledseg")
class Iou(Dice):
    """Intersection over union of masks, counted as ``Dice``."""

    def __init__(
        self, classes: int = 1, label: int | None = None, name: str = "iou", **options: Any
    ) -> None:
        super().__init__(classes, label, name, **options)

    def scores(self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor) -> Tensor:
        """See ``Dice.scores``."""
        del pixels
        return _share(inside, target + prediction - inside)


@keras.saving.register_keras_serializable(package="tiledseg")
class Sensitivity(Dice):
    """Share of a class that is found; 1 where there is none. Also called recall."""

    def __init__(
        self, classes: int = 1, label: int | None = None, name: str = "sensitivity", **options: Any
    ) -> None:
        super().__init__(classes, label, name, **options)

    def scores(self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor) -> Tensor:
        """See ``Dice.scores``."""
        del prediction, pixels
        return _share(inside, target)


@keras.saving.register_keras_serializable(package="tiledseg")
class Specificity(Dice):
    """Share of what is not a class that is left alone; 1 where all of it is the class."""

    def __init__(
        self, classes: int = 1, label: int | None = None, name: str = "specificity", **options: Any
    ) -> None:
        super().__init__(classes, label, name, **options)

    def scores(self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor) -> Tensor:
        """See ``Dice.scores``."""
        return _share(pixels - target - prediction + inside, pixels - target)


@keras.saving.register_keras_serializable(package="tiledseg")
class BinaryAccuracy(Dice):
    """Share of pixels that are rightly given to a class or not; 1 where there are none."""

    def __init__(
        self,
        classes: int = 1,
        label: int | None = None,
        name: str = "binary_accuracy",
        **options: Any,
    ) -> None:
        super().__init__(classes, label, name, **options)

    def scores(self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor) -> Tensor:
        """See ``Dice.scores``."""
        return _share(pixels - target - prediction + 2.0 * inside, pixels)


def make_metrics(
    settings: TrainingSettings, classes: int, names: Sequence[str]
) -> list[keras.metrics.Metric]:
    """What an experiment watches.

    Args:
        settings: ``metrics`` are watched beside ``dice_coef`` and ``dice``.
        classes: Channels of the prediction.
        names: Of the labels from 0, the background.

    Returns:
        Of several classes also each counted metric of every class but the background, named
        ``dice_NAME``.
    """
    made: list[keras.metrics.Metric] = [DiceCoefficient()]
    made += [IouCoefficient()] if "iou_coef" in settings.metrics else []
    for metric in ("dice", *(name for name in settings.metrics if name in COUNTED)):
        made.append(COUNTED[metric](classes))
        if classes > 1:
            made += [
                COUNTED[metric](classes, label, f"{metric}_{name.replace(' ', '_')}")
                for label, name in enumerate(names)
                if label
            ]
    return made


COUNTED: dict[str, type[Dice]] = {
    "dice": Dice,
    "iou": Iou,
    "sensitivity": Sensitivity,
    "specificity": Specificity,
    "binary_accuracy": BinaryAccuracy,
}
"""Metrics of masks, which do not depend on batches."""


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """A part of a whole, 1 where there is none."""
    return ops.where(whole > 0, part / ops.maximum(whole, 1.0), 1.0)


def _digits(counts: Tensor) -> Tensor:
    """Whole numbers (...) as their two digits (..., 2) to the base 4096."""
    high = ops.floor(counts / _BASE)
    return ops.stack([high, counts - _BASE * high], axis=-1)
