"""Losses on probabilities, by the names that experiments use, for one class and for several.

Each takes labels (B, H, W, 1) and probabilities (B, H, W, K), leaves pixels out whose label is
``masks.classes.IGNORED``, and weighs classes; a batch in which nothing is known costs 0, or
what two empty masks cost.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from tiledseg.config import TrainingSettings
from tiledseg.training.overlap import soft_dice, soft_iou, soft_tversky
from tiledseg.training.similarity import structural_similarity
from tiledseg.training.target import Tensor, pixel_weights, weigh_classes

_LEAST = 1e-7
"""Keras clips probabilities to it; below is nothing that float32 can tell from certainty."""


class _SegmentationLoss(keras.losses.Loss):
    """What all losses have in common: weights of classes, and a scalar from ``call``."""

    def __init__(self, class_weights: Sequence[float] | None, name: str) -> None:
        weights = list(class_weights or [])
        if any(not 0 <= weight < float("inf") for weight in weights) or (
            weights and not sum(weights[1:])
        ):
            raise ValueError(
                f"class_weights must be 0 or above, with a class beside the background, got "
                f"{weights!r}"
            )
        super().__init__(name=name, reduction="sum")  # call() is a scalar already
        self.class_weights = weights or None

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {"class_weights": self.class_weights, "name": self.name}


@keras.saving.register_keras_serializable(package="tiledseg")
class Crossentropy(_SegmentationLoss):
    """Cross-entropy per pixel, averaged; binary for one class, categorical for several.

    With ``gamma``, pixels that are nearly right weigh less: Lin et al., "Focal loss for dense
    object detection", 2017, equation 4.

    Args:
        gamma: Exponent of the probability that is missing; 0 is the plain cross-entropy.
        class_weights: Weights of the labels from 0: a pixel weighs as much as its class, and the
            sum is divided by that of the weights.
        name: Name of the loss.

    Raises:
        ValueError: ``gamma`` or a weight is negative, or no class but the background counts.
    """

    def __init__(
        self,
        gamma: float = 0.0,
        class_weights: Sequence[float] | None = None,
        name: str = "crossentropy",
    ) -> None:
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma must be 0 or above, got {gamma!r}")
        super().__init__(class_weights, name)
        self.gamma = gamma

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch, a float32 scalar."""
        target, weights = pixel_weights(y_true, y_pred, self.class_weights)
        one_class = y_pred.shape[-1] == 1
        if one_class:
            costs = keras.losses.binary_crossentropy(target, y_pred)
        else:
            costs = keras.losses.categorical_crossentropy(target, y_pred)
        if self.gamma:
            agreed = target * y_pred
            agreed = agreed + (1.0 - target) * (1.0 - y_pred) if one_class else agreed
            chance = ops.sum(agreed, axis=-1)
            # Clipped, because the slope of a power below 1 has no end at 0.
            costs = costs * ops.power(1.0 - ops.clip(chance, 0.0, 1.0 - _LEAST), self.gamma)
        return ops.sum(costs * weights) / ops.maximum(ops.sum(weights), _LEAST)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {"gamma": self.gamma, **super().get_config()}


@keras.saving.register_keras_serializable(package="tiledseg")
class OverlapLoss(_SegmentationLoss):
    """One minus the soft Dice coefficient or the soft IoU.

    Args:
        measure: ``dice`` or ``iou``.
        smooth: Pixels added above and below, so that two empty masks agree perfectly.
        per_image: Average over images; otherwise one measure of the whole batch.
        class_weights: Weights of the labels from 0 in the mean over classes; by default all but
            the background count the same, and the background does not.
        name: Name of the loss.

    Raises:
        ValueError: Unknown measure, ``smooth`` that is not positive, or weights as for
            ``Crossentropy``.
    """

    def __init__(
        self,
        measure: str = "dice",
        smooth: float = 1.0,
        per_image: bool = False,  # Keras gives the configuration back
        class_weights: Sequence[float] | None = None,
        name: str = "overlap",
    ) -> None:
        if measure not in {"dice", "iou"}:
            raise ValueError(f"measure must be 'dice' or 'iou', got {measure!r}")
        _require_positive(smooth)
        super().__init__(class_weights, name)
        self.measure = measure
        self.smooth = smooth
        self.per_image = per_image

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch, a float32 scalar."""
        measure = soft_dice if self.measure == "dice" else soft_iou
        weights, per_image = self.class_weights, self.per_image
        return 1.0 - measure(y_true, y_pred, self.smooth, weights, per_image=per_image)

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {
            "measure": self.measure,
            "smooth": self.smooth,
            "per_image": self.per_image,
            **super().get_config(),
        }


@keras.saving.register_keras_serializable(package="tiledseg")
class CrossentropyOverlapLoss(_SegmentationLoss):
    """Mean of the cross-entropy and an overlap loss.

    Args:
        measure: ``dice`` or ``iou``.
        smooth: See ``OverlapLoss``.
        per_image: See ``OverlapLoss``.
        class_weights: See ``Crossentropy`` and ``OverlapLoss``.
        name: Name of the loss.
    """

    def __init__(
        self,
        measure: str = "dice",
        smooth: float = 1.0,
        per_image: bool = False,
        class_weights: Sequence[float] | None = None,
        name: str = "crossentropy_overlap",
    ) -> None:
        super().__init__(class_weights, name)
        self.crossentropy = Crossentropy(class_weights=class_weights)
        self.overlap = OverlapLoss(measure, smooth, per_image, class_weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch, a float32 scalar."""
        return 0.5 * (self.crossentropy.call(y_true, y_pred) + self.overlap.call(y_true, y_pred))

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {**self.overlap.get_config(), "name": self.name}


@keras.saving.register_keras_serializable(package="tiledseg")
class TverskyLoss(_SegmentationLoss):
    """One minus the soft Tversky index.

    Args:
        beta: Weight of false negatives, in [0, 1]; false positives weigh 1 - beta.
        smooth: See ``OverlapLoss``.
        per_image: See ``OverlapLoss``.
        class_weights: See ``OverlapLoss``.
        name: Name of the loss.

    Raises:
        ValueError: ``beta`` is not in [0, 1], or as for ``OverlapLoss``.
    """

    def __init__(
        self,
        beta: float = 0.7,
        smooth: float = 1.0,
        per_image: bool = False,
        class_weights: Sequence[float] | None = None,
        name: str = "tversky",
    ) -> None:
        if not 0 <= beta <= 1:
            raise ValueError(f"beta must be in [0, 1], got {beta!r}")
        _require_positive(smooth)
        super().__init__(class_weights, name)
        self.beta = beta
        self.smooth = smooth
        self.per_image = per_image

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch, a float32 scalar."""
        weights, per_image = self.class_weights, self.per_image
        return 1.0 - soft_tversky(
            y_true, y_pred, self.beta, self.smooth, weights, per_image=per_image
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        return {
            "beta": self.beta,
            "smooth": self.smooth,
            "per_image": self.per_image,
            **super().get_config(),
        }


@keras.saving.register_keras_serializable(package="tiledseg")
class BasnetHybridLoss(_SegmentationLoss):
    """Mean of cross-entropy, structural dissimilarity and IoU loss: pixel, patch and map.

    Qin et al., "BASNet: Boundary-aware salient object detection", 2019, equation 2, divided by
    the number of its terms, as the source experiments have it. Where the target is not known, both
    masks count as empty to the structural term.

    Args:
        smooth: See ``OverlapLoss``.
        per_image: Of the IoU; see ``OverlapLoss``.
        class_weights: See ``Crossentropy`` and ``OverlapLoss``; structure is weighed as overlap.
        name: Name of the loss.
    """

    def __init__(
        self,
        smooth: float = 1.0,
        per_image: bool = False,
        class_weights: Sequence[float] | None = None,
        name: str = "basnet_hybrid",
    ) -> None:
        super().__init__(class_weights, name)
        self.crossentropy = Crossentropy(class_weights=class_weights)
        self.overlap = OverlapLoss("iou", smooth, per_image, class_weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of a batch (B, H, W, K), a float32 scalar."""
        target, prediction, weights = weigh_classes(y_true, y_pred, self.class_weights)
        dissimilarity = 1.0 - ops.sum(structural_similarity(target, prediction) * weights)
        parts = self.crossentropy.call(y_true, y_pred) + self.overlap.call(y_true, y_pred)
        return (parts + dissimilarity) / 3.0

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild the loss."""
        config = self.overlap.get_config()
        del config["measure"]
        return {**config, "name": self.name}


def make_loss(settings: TrainingSettings) -> keras.losses.Loss:
    """The loss of an experiment."""
    kind, weights = LOSSES[settings.loss], settings.class_weights
    if settings.loss == "bce":
        return kind(class_weights=weights)
    if settings.loss == "focal":
        return kind(gamma=settings.focal_gamma, class_weights=weights)
    beta = {"beta": settings.tversky_beta} if settings.loss == "tversky" else {}
    smooth, per_image = settings.overlap_smooth, settings.overlap_per_image
    return kind(smooth=smooth, per_image=per_image, class_weights=weights, **beta)


def _require_positive(smooth: float) -> None:
    if not 0 < smooth < float("inf"):
        raise ValueError(f"smooth must be positive, got {smooth!r}")


LOSSES: dict[str, Callable[..., keras.losses.Loss]] = {
    "bce": Crossentropy,
    "dice": partial(OverlapLoss, "dice"),
    "iou": partial(OverlapLoss, "iou"),
    "bce_dice": partial(CrossentropyOverlapLoss, "dice"),
    "bce_iou": partial(CrossentropyOverlapLoss, "iou"),
    "basnet_hybrid": BasnetHybridLoss,
    "focal": partial(Crossentropy, gamma=2.0, name="focal"),
    "tversky": TverskyLoss,
}
