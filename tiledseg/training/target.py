"""What losses and metrics compare: the target as one channel per class, and where it is known.

Target comes as label maps (B, H, W, 1), predictions as probabilities (B, H, W, 1) of the
foreground or (B, H, W, K) of each label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from tiledseg.masks.classes import IGNORED

Tensor = Any  # the backend decides what a tensor is


def mask_known_target(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """The target in the form of the prediction, and where it is known.

    Args:
        y_true: Labels (B, ..., 1) of any dtype, ``IGNORED`` where the target is not known.
        y_pred: Probabilities (B, ..., K).

    Returns:
        Target (B, ..., K) float32, 0 or 1; for K = 1 that of label 1. Known (B, ..., 1) float32,
        0 or 1; the target is 0 where it is 0.
    """
    one_channel = (*ops.shape(y_pred)[:-1], 1)  # a graph may not know how many the target has
    labels = ops.reshape(ops.cast(y_true, "float32"), one_channel)
    known = ops.cast(ops.not_equal(labels, float(IGNORED)), "float32")
    if y_pred.shape[-1] == 1:
        return labels * known, known
    index = ops.cast((labels * known)[..., 0], "int32")
    return ops.one_hot(index, y_pred.shape[-1], dtype="float32") * known, known


def weigh_classes(
    y_true: Tensor, y_pred: Tensor, class_weights: Sequence[float] | None
) -> tuple[Tensor, Tensor, Any]:
    """Target and probability of every class that counts where classes are averaged.

    Args:
        y_true: See ``mask_known_target``.
        y_pred: See ``mask_known_target``.
        class_weights: One number for each label; by default all but the background count the
            same, and the background does not.

    Returns:
        Target and probability (B, ..., C) float32, both 0 where the target is not known, and the
        weights (C,), which sum to 1.
    """
    target, known = mask_known_target(y_true, y_pred)
    prediction = ops.cast(y_pred, "float32") * known
    count = y_pred.shape[-1]
    if count == 1 and not class_weights:
        return target, prediction, np.ones(1, np.float32)
    if count == 1:
        target = ops.concatenate([known - target, target], axis=-1)
        prediction = ops.concatenate([known - prediction, prediction], axis=-1)
    weights = np.array(class_weights or [0.0] + [1.0] * (count - 1), np.float32)
    if weights[0] == 0:
        target, prediction, weights = target[..., 1:], prediction[..., 1:], weights[1:]
    return target, prediction, weights / weights.sum()


def pixel_weights(
    y_true: Tensor, y_pred: Tensor, class_weights: Sequence[float] | None
) -> tuple[Tensor, Tensor]:
    """The target, and how much each pixel counts: as much as its class, or not at all.

    Returns:
        Target as ``mask_known_target`` gives it, and weights (B, ...) float32.
    """
    target, known = mask_known_target(y_true, y_pred)
    if not class_weights:
        return target, known[..., 0]
    weights = np.array(class_weights, np.float32)
    if y_pred.shape[-1] == 1:
        of_target = weights[0] + (weights[1] - weights[0]) * target
        return target, (of_target * known)[..., 0]
    return target, ops.sum(target * weights, axis=-1)
