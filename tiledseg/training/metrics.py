"""What is watched while a network learns, for one class and for several."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tiledseg.config import TrainingSettings
from tiledseg.training.overlap import Areas, soft_areas
from tiledseg.training.target import Tensor, mask_known_target

_BASE = 4096.0


class SoftMetric(keras.metrics.Metric):
    """A soft overlap, flattened over a batch and averaged over batches; subclasses say which.

    It depends on the batch size; it is kept so that the source experiments' tables can be
    compared. Of several classes it is the mean over all but the background. Each is averaged over
    the batches that have it in target or mask, so that batches without it do not count as found;
    NaN where no batch has any.

    Args:
        classes: Channels of the prediction.
        name: Name of the metric.
    """

    def __init__(self, classes: int = 1, name: str = "", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.classes = classes
        # Rows: sum of the values, number of batches. Columns: classes that count.
        self.sums = self.add_weight(
            shape=(2, max(1, classes - 1)), name="sums", initializer="zeros"
        )

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add one batch of labels (B, H, W, 1) and probabilities (B, H, W, K)."""
        del sample_weight  # every pixel counts once
        areas = soft_areas(y_true, y_pred)
        has_class = ops.ones_like(areas.target)
        if self.classes > 1:
            masks = ops.one_hot(ops.argmax(y_pred, axis=-1), self.classes, dtype="float32")
            masks = soft_areas(y_true, masks)
            has_class = ops.cast(masks.target + masks.prediction > 0, "float32")
        self.sums.assign(self.sums + ops.stack([has_class * self.values(areas), has_class]))

    def values(self, areas: Areas) -> Tensor:
        """The overlap of each class in a batch, (C,), float32."""
        raise NotImplementedError

    def result(self) -> Tensor:
        """The mean, a float32 scalar."""
        totals, batches = ops.unstack(ops.convert_to_tensor(self.sums), num=2)
        if self.classes == 1:
            return totals[0] / ops.maximum(batches[0], 1.0)
        return _average_defined(totals, batches)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the metric."""
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(package="tiledseg")
class DiceCoefficient(SoftMetric):
    """The source experiments' ``dice_coef``, see ``SoftMetric``."""

    def __init__(self, classes: int = 1, name: str = "dice_coef", **options: Any) -> None:
        super().__init__(classes, name, **options)

    def values(self, areas: Areas) -> Tensor:
        """See ``SoftMetric.values``."""
        return areas.dice()


@keras.saving.register_keras_serializable(package="tiledseg")
class IouCoefficient(SoftMetric):
    """The source experiments' ``iou_coef``, see ``SoftMetric``."""

    def __init__(self, classes: int = 1, name: str = "iou_coef", **options: Any) -> None:
        super().__init__(classes, name, **options)

    def values(self, areas: Areas) -> Tensor:
        """See ``SoftMetric.values``."""
        return areas.iou()


@keras.saving.register_keras_serializable(package="tiledseg")
class Dice(keras.metrics.Metric):
    """Dice of masks over all pixels seen since the last reset; subclasses divide other areas.

    One class is cut at 0.5; of several, a pixel has the most probable. Areas are summed over
    batches and divided once, so the value does not depend on how the pixels were grouped into
    batches. Pixels whose target is not known do not count. With one class, two empty masks score
    1. With several, a class that no pixel has, neither target nor mask, has no score, NaN, and no
    part in the mean; so it is where there is nothing to divide by.

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
        """The score in [0, 1] or NaN, a float32 scalar."""
        inside, target, prediction, pixels = ops.unstack(
            _BASE * self.areas[..., 0] + self.areas[..., 1], num=4
        )
        part, whole = self.share(inside, target, prediction, pixels)
        if self.classes == 1:
            return ops.where(whole > 0, part / ops.maximum(whole, 1.0), 1.0)[0]
        whole = ops.where(target + prediction > 0, whole, 0.0)
        of_label = slice(1, None) if self.label is None else slice(self.label, self.label + 1)
        return _average_defined(part[of_label], whole[of_label])

    def share(
        self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What is divided by what for the score of each class; all are areas, (K,), float32."""
        del pixels
        return 2.0 * inside, target + prediction

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

    def share(
        self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See ``Dice.share``."""
        del pixels
        return inside, target + prediction - inside


@keras.saving.register_keras_serializable(package="tiledseg")
class Sensitivity(Dice):
    """Share of a class that is found. Also called recall."""

    def __init__(
        self, classes: int = 1, label: int | None = None, name: str = "sensitivity", **options: Any
    ) -> None:
        super().__init__(classes, label, name, **options)

    def share(
        self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See ``Dice.share``."""
        del prediction, pixels
        return inside, target


@keras.saving.register_keras_serializable(package="tiledseg")
class Specificity(Dice):
    """Share of what is not a class that is left alone."""

    def __init__(
        self, classes: int = 1, label: int | None = None, name: str = "specificity", **options: Any
    ) -> None:
        super().__init__(classes, label, name, **options)

    def share(
        self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See ``Dice.share``."""
        return pixels - target - prediction + inside, pixels - target


@keras.saving.register_keras_serializable(package="tiledseg")
class BinaryAccuracy(Dice):
    """Share of pixels that are rightly given to a class or not."""

    def __init__(
        self,
        classes: int = 1,
        label: int | None = None,
        name: str = "binary_accuracy",
        **options: Any,
    ) -> None:
        super().__init__(classes, label, name, **options)

    def share(
        self, inside: Tensor, target: Tensor, prediction: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See ``Dice.share``."""
        return pixels - target - prediction + 2.0 * inside, pixels


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
    made: list[keras.metrics.Metric] = [DiceCoefficient(classes)]
    made += [IouCoefficient(classes)] if "iou_coef" in settings.metrics else []
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


def _average_defined(parts: Tensor, wholes: Tensor) -> Tensor:
    """The mean of parts of wholes (C,), those of nothing left out; NaN where all are."""
    defined = ops.cast(wholes > 0, "float32")
    count = ops.sum(defined)
    total = ops.sum(defined * parts / ops.maximum(wholes, 1.0))
    return ops.where(count > 0, total / ops.maximum(count, 1.0), float("nan"))


def _digits(counts: Tensor) -> Tensor:
    """Whole numbers (...) as their two digits (..., 2) to the base 4096."""
    high = ops.floor(counts / _BASE)
    return ops.stack([high, counts - _BASE * high], axis=-1)
