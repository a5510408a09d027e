"""Prediction of an image of any size: in tiles, in one pass, or resized."""

from typing import Any
from weakref import WeakKeyDictionary

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.grid import plan_grid
from tiledseg.tiling.receptive_field import (
    ReceptiveField,
    receptive_field,
    verify_receptive_field,
)
from tiledseg.tiling.stitch import CropStitcher

_fields: WeakKeyDictionary[Any, ReceptiveField] = WeakKeyDictionary()

_KEPT_FUNCTIONS = 8


def predict_tiled(
    model: keras.Model,
    image: NDArray[np.uint8],
    *,
    max_tile: int,
    field: ReceptiveField | None = None,
) -> NDArray[np.float32]:
    """Predict an image tile by tile, with the answer of one pass over the whole image.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).
        image: Uint8 array (H, W, C), already pre-processed; the model rescales it.
        max_tile: Largest side of a tile, halo included, in pixels.
        field: Halo and stride to use; computed and verified if not given.

    Returns:
        Float32 array (H, W, K).

    Raises:
        TilingError: If the image does not suit the model, the model cannot be tiled
            exactly, max_tile is too small for its halo, or a value is not finite.
    """
    field = field or model_field(model)
    _check_image(model, image)
    height, width, _ = image.shape
    grid = plan_grid(height, width, halo=field.halo, stride=field.stride, max_tile=max_tile)
    padded = _pad(image, field.stride)
    stitcher = CropStitcher(height, width, model.output_shape[-1])
    for tile in grid.tiles:
        rows, columns = tile.window
        prediction = _forward(model, padded[tile.window], (rows.start, columns.start))
        stitcher.add(tile, prediction)
    return stitcher.result()


def predict_full(model: keras.Model, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Predict an image in one pass at full size, padded as predict_tiled pads it.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).
        image: Uint8 array (H, W, C), already pre-processed; the model rescales it.

    Returns:
        Float32 array (H, W, K).

    Raises:
        TilingError: If the image does not suit the model, the model's stride cannot be
            read from its graph, or a value is not finite.
    """
    field = model_field(model)
    _check_image(model, image)
    height, width, _ = image.shape
    return _forward(model, _pad(image, field.stride))[:height, :width]


def predict_resized(model: keras.Model, image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Predict an image resized to a square: the source experiments' non-tiled way.

    The image is shrunk by area averaging, or enlarged linearly where both sides grow; the
    probabilities come back linearly.

    Args:
        model: A keras.Model, (N, H, W, C) -> (N, H, W, K).
        image: Uint8 array (H, W, C), already pre-processed; the model rescales it.
        size: Side of the network's input, in pixels; a multiple of the network's stride.

    Returns:
        Float32 array (H, W, K).

    Raises:
        TilingError: If the image does not suit the model, or a value is not finite.
    """
    _check_image(model, image)
    height, width, channels = image.shape
    shrinks = height > size or width > size
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    square = cv2.resize(image, (size, size), interpolation=interpolation)
    prediction = _forward(model, square.reshape(size, size, channels))
    back = cv2.resize(prediction, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(back, np.float32).reshape(height, width, -1)


def model_field(model: keras.Model) -> ReceptiveField:
    """The receptive field of a model, computed and verified once in the model's life.

    Args:
        model: A Functional or Sequential keras.Model with Input((None, None, C)).

    Returns:
        Halo and stride, in pixels.

    Raises:
        TilingError: If the model cannot be tiled exactly.
    """
    if model not in _fields:
        field = receptive_field(model)
        if model.input_shape[1:3] != (None, None):
            raise TilingError(
                f"model {model.name!r} accepts images of {model.input_shape[1:3]} pixels alone; "
                "build it with Input((None, None, channels))"
            )
        verify_receptive_field(model, field)
        _fields[model] = field
    return _fields[model]


def _check_image(model: Any, image: NDArray[np.uint8]) -> None:
    if image.ndim != 3 or 0 in image.shape:
        raise TilingError(
            f"an image of shape {image.shape} cannot be predicted; "
            "give (height, width, channels), a grey one as (height, width, 1)"
        )
    if image.dtype != np.uint8:
        raise TilingError(
            f"an image of dtype {image.dtype} cannot be predicted; give uint8 from 0 to 255"
        )
    if image.shape[2] != model.input_shape[-1]:
        raise TilingError(
            f"the image has {image.shape[2]} channels, model {model.name!r} reads "
            f"{model.input_shape[-1]}; convert the image (image.channels, image.color_space)"
        )


def _pad(image: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """Mirror the bottom and the right out to multiples of the stride."""
    below, right = (-side % stride for side in image.shape[:2])
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")


def _forward(
    model: Any, pixels: NDArray[np.uint8], origin: tuple[int, int] = (0, 0)
) -> NDArray[np.float32]:
    """One pass over a batch of one: (h, w, C) whose corner is at origin -> float32 (h, w, K)."""
    if any(getattr(layer, "interpolation", "nearest") != "nearest" for layer in model.layers):
        _use_function_for(model, pixels.shape)
    prediction = np.asarray(model.predict_on_batch(pixels[np.newaxis])[0], np.float32)
    finite = np.isfinite(prediction)
    if not finite.all():
        row, column = np.argwhere(~finite)[0][:2] + origin
        raise TilingError(
            f"model {model.name!r} gave NaN or infinity at row {row}, column {column}; "
            "look for NaN in its weights"
        )
    return prediction


def _use_function_for(model: Any, shape: tuple[int, ...]) -> None:
    """Give a model the predict function compiled for a shape, so that no size is left open.

    TensorFlow leaves the sizes open from the second shape on, which Keras 3.15's bilinear
    UpSampling2D refuses (keras.ops.image.resize compares the size with 0). The functions
    refer to the model, so they are kept on it, where they go when it goes.
    """
    functions = vars(model).setdefault("_tiledseg_functions", {})
    if shape not in functions:
        if len(functions) >= _KEPT_FUNCTIONS:
            functions.pop(next(iter(functions)))
        model.make_predict_function(force=True)
        functions[shape] = model.predict_function
    model.predict_function = functions[shape]
