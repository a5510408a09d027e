"""Losses on probabilities, by the names that experiments use."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from tiledseg.settings import TrainingSettings

Tensor = Any  # the backend decides what a tensor is


def overlap_counts(
    y_true: Tensor, y_pred: Tensor, *, per_image: bool = False
) -> tuple[Tensor, Tensor]:
    """Soft intersection, and sum of both areas, over the whole batch or of each image.

    Args:
        y_true: Truth in {0, 1}, (B, ...).
        y_pred: Probability in [0, 1], the same shape.
        per_image: Count each image on its own.

    Returns:
        Two float32 scalars, or two vectors (B,).
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    axes = tuple(range(1, len(y_pred.shape))) if per_image else None
    inside = ops.sum(y_true * y_pred, axis=axes)
    return inside, ops.sum(y_true, axis=axes) + ops.sum(y_pred, axis=axes)


def soft_dice(
    y_true: Tensor, y_pred: Tensor, smooth: float = 1.0, *, per_image: bool = False
) -> Tensor:
    """Dice coefficient on probabilities, flattened over the batch or averaged over its images.

    Milletari, Navab & Ahmadi, "V-Net", 2016, section 3, with areas in place of squared
    areas and ``smooth`` added above and below.
    """
    intersection, areas = overlap_counts(y_true, y_pred, per_image=per_image)
    return ops.mean((2.0 * intersection + smooth) / (areas + smooth))


def soft_iou(
    y_true: Tensor, y_pred: Tensor, smooth: float = 1.0, *, per_image: bool = False
) -> Tensor:
    """Intersection over union on probabilities, of the batch or averaged over its images.

    Rahman & Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks", 2016,
    equation 3, with ``smooth`` added above and below.
    """
    intersection, areas = overlap_counts(y_true, y_pred, per_image=per_image)
    return ops.mean((intersection + smooth) / (areas - intersection + smooth))


@keras.saving.register_keras_serializable(package="tiledseg")
class OverlapLoss(keras.losses.Loss):
    """One minus the soft Dice coefficient or the soft IoU.

    Args:
        measure: ``dice`` or ``iou``.
        smooth: Pixels added above and below, so that two empty masks agree perfectly.
        per_image: Average over images; otherwise one measure of the whole batch.
        name: Name of the loss.

    Raises:
        ValueError: Unknown measure, or ``smooth`` that is not positive.
    """

    def __init__(
        self,
        measure: str = "dice",
        smooth: float = 1.0,
        per_image: bool = False,  # Keras gives the configuration back
        name: str = "overlap",
    ) -> None:
        if measure not in {"dice", "iou"}:
            raise ValueError(f"measure must be 'dice' or 'iou', got {measure!r}")
        if not 0 < smooth < float("inf"):
            raise ValueError(f"smooth must be positive, got {smooth!r}")
        super().__init__(name=name, reduction="sum")  # call() is a scalar already
        self.measure = measure
        self.smooth = smooth
        self.per_image = per_image

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch, a float32 scalar."""
        measure = soft_dice if self.measure == "dice" else soft_iou
        return 1.0 - measure(y_true, y_pred, self.smooth, per_image=self.per_image)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {
            "measure": self.measure,
            "smooth": self.smooth,
            "per_image": self.per_image,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="tiledseg")
class CrossentropyOverlapLoss(keras.losses.Loss):
    """Mean of the binary cross-entropy and an overlap loss.

    Args:
        measure: ``dice`` or ``iou``.
        smooth: See ``OverlapLoss``.
        per_image: See ``OverlapLoss``.
        name: Name of the loss.
    """

    def __init__(
        self,
        measure: str = "dice",
        smooth: float = 1.0,
        per_image: bool = False,
        name: str = "crossentropy_overlap",
    ) -> None:
        super().__init__(name=name, reduction="sum")
        self.overlap = OverlapLoss(measure, smooth, per_image)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch, a float32 scalar."""
        crossentropy = ops.mean(keras.losses.binary_crossentropy(y_true, y_pred))
        return 0.5 * (crossentropy + self.overlap.call(y_true, y_pred))

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {**self.overlap.get_config(), "name": self.name}


def make_loss(settings: TrainingSettings) -> keras.losses.Loss:
    """The loss of an experiment."""
    kind = LOSSES[settings.loss]
    if settings.loss == "bce":
        return kind()
    return kind(smooth=settings.overlap_smooth, per_image=settings.overlap_per_image)


LOSSES: dict[str, Callable[..., keras.losses.Loss]] = {
    "bce": keras.losses.BinaryCrossentropy,
    "dice": partial(OverlapLoss, "dice"),
    "iou": partial(OverlapLoss, "iou"),
    "bce_dice": partial(CrossentropyOverlapLoss, "dice"),
    "bce_iou": partial(CrossentropyOverlapLoss, "iou"),
}
