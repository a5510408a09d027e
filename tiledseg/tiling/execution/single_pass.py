"""Prediction of an image in one pass: at full size, or resized to the network's input."""

from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.execution.streaming import check_channels, predict_regions
from tiledseg.tiling.geometry.grid import Grid, plan_grid
from tiledseg.tiling.geometry.regions import ArraySink, ArraySource, Forward
from tiledseg.tiling.network.exactness import model_field


def predict_single_pass(
    model: keras.Model, image: NDArray[np.uint8], *, forward: Forward | None = None
) -> NDArray[np.float32]:
    """Predict an image in one pass at full size, padded as tiles are at its border.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).
        image: Uint8 array (H, W, C), already pre-processed; the model rescales it.
        forward: Another runtime's pass over a batch; Keras' own, compiled, if not given.

    Returns:
        Float32 array (H, W, K).

    Raises:
        TilingError: If the image does not suit the model, the model's stride cannot be
            read from its graph, or a value is not finite.
    """
    field = model_field(model)
    check_image(model, image)
    height, width, _ = image.shape
    most = max(height, width) + field.stride
    grid = plan_grid(height, width, halo=field.halo, stride=field.stride, max_tile=most)
    return _predict_grid(model, image, grid, forward)


def predict_resized(
    model: keras.Model, image: NDArray[np.uint8], size: int, *, forward: Forward | None = None
) -> NDArray[np.float32]:
    """Predict an image resized to a square: the source experiments' non-tiled way.

    The image is shrunk by area averaging, or enlarged linearly where both sides grow; the
    probabilities come back linearly.

    Args:
        model: A keras.Model, (N, H, W, C) -> (N, H, W, K).
        image: Uint8 array (H, W, C), already pre-processed; the model rescales it.
        size: Side of the network's input, in pixels; a multiple of the network's stride.
        forward: Another runtime's pass over a batch; Keras' own, compiled, if not given.

    Returns:
        Float32 array (H, W, K).

    Raises:
        TilingError: If the image does not suit the model, or a value is not finite.
    """
    check_image(model, image)
    height, width, channels = image.shape
    shrinks = height > size or width > size
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    square = cv2.resize(image, (size, size), interpolation=interpolation)
    grid = plan_grid(size, size, halo=0, stride=size, max_tile=size)
    prediction = _predict_grid(model, square.reshape(size, size, channels), grid, forward)
    back = cv2.resize(prediction, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(back, np.float32).reshape(height, width, -1)


def check_image(model: Any, image: NDArray[np.uint8]) -> None:
    """Refuse what is no image (H, W, C) of uint8 with the channels that a model reads.

    Raises:
        TilingError: The shape, the dtype or the channels do not fit.
    """
    if image.ndim != 3 or 0 in image.shape:
        raise TilingError(
            f"an image of shape {image.shape} cannot be predicted; "
            "give (height, width, channels), a gray one as (height, width, 1)"
        )
    if image.dtype != np.uint8:
        raise TilingError(
            f"an image of dtype {image.dtype} cannot be predicted; give uint8 from 0 to 255"
        )
    check_channels(model, image.shape)


def _predict_grid(
    model: Any, image: NDArray[np.uint8], grid: Grid, forward: Forward | None
) -> NDArray[np.float32]:
    sink = ArraySink(*grid.image_shape, model.output_shape[-1])
    predict_regions(model, ArraySource(image), sink, grid=grid, forward=forward)
    return sink.values
