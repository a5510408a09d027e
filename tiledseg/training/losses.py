"""Losses on probabilities, by the names that experiments use."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from tiledseg.settings import TrainingSettings

Tensor = Any  # the backend decides what a tensor is

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


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


def soft_tversky(
    y_true: Tensor,
    y_pred: Tensor,
    beta: float = 0.7,
    smooth: float = 1.0,
    *,
    per_image: bool = False,
) -> Tensor:
    """Tversky index on probabilities, of the batch or averaged over its images.

    Salehi, Erdogmus & Gholipour, "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks", 2017, equation 4: ``beta`` weighs what was missed, 1 - beta
    what was invented; ``smooth`` is added above and below. Half of each is Dice, smoothed by
    twice as much. (Keras's own has the two weights exchanged, and two empty masks cost 1.)
    """
    intersection, _ = overlap_counts(y_true, y_pred, per_image=per_image)
    missed, _ = overlap_counts(y_true, 1.0 - y_pred, per_image=per_image)
    invented, _ = overlap_counts(1.0 - ops.cast(y_true, "float32"), y_pred, per_image=per_image)
    wrong = beta * missed + (1.0 - beta) * invented
    return ops.mean((intersection + smooth) / (intersection + wrong + smooth))


def structural_similarity(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean structural similarity of two batches of images.

    Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", 2004, equation 13: Gaussian windows of 11 x 11 pixels (sigma 1.5)
    that lie within the image, K1 = 0.01, K2 = 0.03, intensities in [0, 1].

    Args:
        y_true: (B, H, W, K). Where H or W is known to be under 11 pixels, the window shrinks to
            the largest odd side that fits.
        y_pred: The same shape.

    Returns:
        A float32 scalar, at most 1.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    y_true = ops.reshape(y_true, ops.shape(y_pred))  # tells the graph its channels
    channels = y_pred.shape[-1]
    maps = [y_true, y_pred, y_true * y_true, y_pred * y_pred, y_true * y_pred]
    known = [size for size in y_pred.shape[1:3] if size is not None]
    side = min(_SSIM_WINDOW, *(size - 1 + size % 2 for size in known), _SSIM_WINDOW)
    weights = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * _SSIM_SIGMA**2))
    weights = np.tile((weights / weights.sum()).astype(np.float32), (len(maps) * channels, 1)).T
    means = ops.concatenate(maps, axis=-1)
    for kernel in (weights[:, None, :, None], weights[None, :, :, None]):  # separable
        means = ops.depthwise_conv(means, kernel, padding="valid", data_format="channels_last")
    true, guess, true_2, guess_2, product = ops.split(means, len(maps), axis=-1)
    covariance = product - true * guess
    variances = true_2 - true * true + guess_2 - guess * guess
    luminance = (2.0 * true * guess + _SSIM_C1) / (true * true + guess * guess + _SSIM_C1)
    return ops.mean(luminance * (2.0 * covariance + _SSIM_C2) / (variances + _SSIM_C2))


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


@keras.saving.register_keras_serializable(package="tiledseg")
class TverskyLoss(keras.losses.Loss):
    """One minus the soft Tversky index.

    Args:
        beta: Weight of missed pixels, in [0, 1]; invented ones weigh 1 - beta.
        smooth: See ``OverlapLoss``.
        per_image: See ``OverlapLoss``.
        name: Name of the loss.

    Raises:
        ValueError: ``beta`` is not in [0, 1], or ``smooth`` is not positive.
    """

    def __init__(
        self,
        beta: float = 0.7,
        smooth: float = 1.0,
        per_image: bool = False,
        name: str = "tversky",
    ) -> None:
        if not 0 <= beta <= 1:
            raise ValueError(f"beta must be in [0, 1], got {beta!r}")
        if not 0 < smooth < float("inf"):
            raise ValueError(f"smooth must be positive, got {smooth!r}")
        super().__init__(name=name, reduction="sum")
        self.beta = beta
        self.smooth = smooth
        self.per_image = per_image

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch, a float32 scalar."""
        index = soft_tversky(y_true, y_pred, self.beta, self.smooth, per_image=self.per_image)
        return 1.0 - index

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {
            "beta": self.beta,
            "smooth": self.smooth,
            "per_image": self.per_image,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="tiledseg")
class BasnetHybridLoss(keras.losses.Loss):
    """Mean of cross-entropy, structural dissimilarity and IoU loss: pixel, patch and map.

    Qin et al., "BASNet: Boundary-aware salient object detection", 2019, equation 2, divided by
    the number of its terms, as the source experiments have it.

    Args:
        smooth: See ``OverlapLoss``.
        per_image: Of the IoU; see ``OverlapLoss``.
        name: Name of the loss.
    """

    def __init__(
        self, smooth: float = 1.0, per_image: bool = False, name: str = "basnet_hybrid"
    ) -> None:
        super().__init__(name=name, reduction="sum")
        self.overlap = OverlapLoss("iou", smooth, per_image)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch (B, H, W, K), a float32 scalar."""
        crossentropy = ops.mean(keras.losses.binary_crossentropy(y_true, y_pred))
        dissimilarity = 1.0 - structural_similarity(y_true, y_pred)
        return (crossentropy + dissimilarity + self.overlap.call(y_true, y_pred)) / 3.0

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {
            "smooth": self.overlap.smooth,
            "per_image": self.overlap.per_image,
            "name": self.name,
        }


def make_loss(settings: TrainingSettings) -> keras.losses.Loss:
    """The loss of an experiment."""
    kind = LOSSES[settings.loss]
    if settings.loss == "bce":
        return kind()
    if settings.loss == "focal":
        return kind(gamma=settings.focal_gamma)
    weights = {"beta": settings.tversky_beta} if settings.loss == "tversky" else {}
    smooth, per_image = settings.overlap_smooth, settings.overlap_per_image
    return kind(smooth=smooth, per_image=per_image, **weights)


LOSSES: dict[str, Callable[..., keras.losses.Loss]] = {
    "bce": keras.losses.BinaryCrossentropy,
    "dice": partial(OverlapLoss, "dice"),
    "iou": partial(OverlapLoss, "iou"),
    "bce_dice": partial(CrossentropyOverlapLoss, "dice"),
    "bce_iou": partial(CrossentropyOverlapLoss, "iou"),
    "basnet_hybrid": BasnetHybridLoss,
    "focal": keras.losses.BinaryFocalCrossentropy,
    "tversky": TverskyLoss,
}
