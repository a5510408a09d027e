"""Soft overlap of target and prediction: Dice, IoU and Tversky on probabilities.

With several classes each is computed class by class, and averaged over them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from tiledseg.training.target import Tensor, weigh_classes


class Areas(NamedTuple):
    """Soft areas in pixels, float32 (C,), or (B, C) of each image on its own."""

    inside: Tensor
    """Of target and prediction together."""
    target: Tensor
    prediction: Tensor
    weights: Tensor
    """Of the classes, (C,); they sum to 1."""

    def mean(self, values: Tensor) -> Tensor:
        """Values (C,) or (B, C) averaged over classes and images, a float32 scalar."""
        return ops.mean(ops.sum(values * self.weights, axis=-1))

    def dice(self, smooth: float = 1.0) -> Tensor:
        """Twice what is shared by what there is; ``smooth`` is added above and below."""
        return (2.0 * self.inside + smooth) / (self.target + self.prediction + smooth)

    def iou(self, smooth: float = 1.0) -> Tensor:
        """Intersection by union; ``smooth`` is added above and below."""
        union = self.target + self.prediction - self.inside
        return (self.inside + smooth) / (union + smooth)


def soft_areas(
    y_true: Tensor,
    y_pred: Tensor,
    class_weights: Sequence[float] | None = None,
    *,
    per_image: bool = False,
) -> Areas:
    """Areas of every class that counts, over the whole batch or of each image.

    Args:
        y_true: Labels (B, ..., 1); see ``tiledseg.training.target``.
        y_pred: Probabilities (B, ..., K).
        class_weights: See ``weigh_classes``.
        per_image: Count each image on its own.
    """
    target, prediction, weights = weigh_classes(y_true, y_pred, class_weights)
    axes = tuple(range(1 if per_image else 0, len(y_pred.shape) - 1))
    inside, true, predicted = (
        ops.sum(part, axis=axes) for part in (target * prediction, target, prediction)
    )
    return Areas(inside, true, predicted, weights)


def soft_dice(
    y_true: Tensor,
    y_pred: Tensor,
    smooth: float = 1.0,
    class_weights: Sequence[float] | None = None,
    *,
    per_image: bool = False,
) -> Tensor:
    """Dice coefficient on probabilities, flattened over the batch or averaged over its images.

    Milletari, Navab & Ahmadi, "V-Net", 2016, section 3, with areas in place of squared
    areas and ``smooth`` added above and below.
    """
    areas = soft_areas(y_true, y_pred, class_weights, per_image=per_image)
    return areas.mean(areas.dice(smooth))


def soft_iou(
    y_true: Tensor,
    y_pred: Tensor,
    smooth: float = 1.0,
    class_weights: Sequence[float] | None = None,
    *,
    per_image: bool = False,
) -> Tensor:
    """Intersection over union on probabilities, of the batch or averaged over its images.

    Rahman & Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks", 2016,
    equation 3, with ``smooth`` added above and below.
    """
    areas = soft_areas(y_true, y_pred, class_weights, per_image=per_image)
    return areas.mean(areas.iou(smooth))


def soft_tversky(
    y_true: Tensor,
    y_pred: Tensor,
    beta: float = 0.7,
    smooth: float = 1.0,
    class_weights: Sequence[float] | None = None,
    *,
    per_image: bool = False,
) -> Tensor:
    """Tversky index on probabilities, of the batch or averaged over its images.

    Salehi, Erdogmus & Gholipour, "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks", 2017, equation 4: ``beta`` weighs false negatives, 1 - beta
    false positives; ``smooth`` is added above and below. Half of each is Dice, smoothed by
    twice as much. (Keras's own has the two weights exchanged, and two empty masks cost 1.)
    """
    areas = soft_areas(y_true, y_pred, class_weights, per_image=per_image)
    false_negative, false_positive = areas.target - areas.inside, areas.prediction - areas.inside
    wrong = beta * false_negative + (1.0 - beta) * false_positive
    return areas.mean((areas.inside + smooth) / (areas.inside + wrong + smooth))
