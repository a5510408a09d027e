"""Structural similarity of masks: whether patches look alike, and not pixels alone."""

import numpy as np
from keras import ops

from tiledseg.training.target import Tensor

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def structural_similarity(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean structural similarity of two batches of images.

    Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", 2004, equation 13: Gaussian windows of 11 x 11 pixels (sigma 1.5)
    that lie within the image, K1 = 0.01, K2 = 0.03, intensities in [0, 1].

    Args:
        y_true: (B, H, W, C). Where H or W is known to be under 11 pixels, the window shrinks to
            the largest odd side that fits.
        y_pred: The same shape.

    Returns:
        (C,), float32, at most 1: the mean of each channel.
    """
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    y_true = ops.reshape(y_true, ops.shape(y_pred))  # tells the graph its channels
    channels = y_pred.shape[-1]
    maps = [y_true, y_pred, y_true * y_true, y_pred * y_pred, y_true * y_pred]
    known = [size for size in y_pred.shape[1:3] if size is not None]
    side = min(_WINDOW, *(size - 1 + size % 2 for size in known), _WINDOW)
    weights = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * _SIGMA**2))
    weights = np.tile((weights / weights.sum()).astype(np.float32), (len(maps) * channels, 1)).T
    means = ops.concatenate(maps, axis=-1)
    for kernel in (weights[:, None, :, None], weights[None, :, :, None]):  # separable
        means = ops.depthwise_conv(means, kernel, padding="valid", data_format="channels_last")
    true, prediction, true_2, prediction_2, product = ops.split(means, len(maps), axis=-1)
    covariance = product - true * prediction
    variances = true_2 - true * true + prediction_2 - prediction * prediction
    luminance = (2.0 * true * prediction + _C1) / (true * true + prediction * prediction + _C1)
    similarity = luminance * (2.0 * covariance + _C2) / (variances + _C2)
    return ops.mean(similarity, axis=(0, 1, 2))
