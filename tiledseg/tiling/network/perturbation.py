"""The receptive field of a Keras model as it shows: what changes when pixels change."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.network.receptive_field import ReceptiveField, receptive_field

LEAK_TOLERANCE = 1e-5
"""Change of an output, relative to the larger of 1 and the output, that counts as none."""

STRIP_BREADTH = 32
"""Least breadth of the strips that are perturbed, in pixels."""


def verify_receptive_field(model: keras.Model, field: ReceptiveField | None = None) -> None:
    """Change everything beyond the halo, and see that the outputs stay as they are.

    All phases of the output are looked at in a narrow strip along each axis, with noise,
    black and white beyond the halo. This finds what the graph does not tell: a custom
    activation that looks around, or another backend's way of padding.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).
        field: The receptive field to verify; computed from the graph if not given.

    Raises:
        TilingError: If a change beyond the halo reaches the output.
    """
    field = field or receptive_field(model)
    for axis, name in enumerate(("rows", "columns")):
        change = _change_from_beyond(model, field, axis)
        if change > LEAK_TOLERANCE:
            raise TilingError(
                f"an output of model {model.name!r} changes by {change:.2g} when pixels more than "
                f"its halo of {field.halo} {name} away change, so it cannot be tiled exactly; look "
                "for a layer or activation that reads the whole image, or blend (tiling.mode)"
            )


def _change_from_beyond(model: Any, field: ReceptiveField, axis: int) -> float:
    """Largest relative change of one stride of outputs when all beyond their halo changes."""
    border, shape = _strip(model, field)
    core = slice(border, border + field.stride)
    kept = slice(core.start - field.halo, core.stop + field.halo)
    rng = np.random.default_rng(0)
    image = rng.integers(64, 192, shape, np.uint8)
    expected = _strip_output(model, image, axis)[core]
    change = 0.0
    for beyond in _fillings(rng, shape):
        beyond[kept] = image[kept]
        change = max(change, np.abs(_strip_output(model, beyond, axis)[core] - expected).max())
    return float(change / max(1.0, np.abs(expected).max()))


def _strip(model: Any, field: ReceptiveField) -> tuple[int, tuple[int, int, int]]:
    """A strip that holds one stride of lines, with more than the halo on both sides.

    Returns:
        The first of those lines, and the strip's length, breadth and channels.
    """
    border = (field.halo // field.stride + 2) * field.stride
    breadth = -(-STRIP_BREADTH // field.stride) * field.stride
    return border, (2 * border + field.stride, breadth, model.input_shape[-1])


def _fillings(rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[NDArray[np.uint8]]:
    """Noise, black and white; the image itself keeps to the middle half of the intensities."""
    yield rng.integers(0, 256, shape, np.uint8)
    yield np.zeros(shape, np.uint8)
    yield np.full(shape, 255, np.uint8)


def _strip_output(model: Any, strip: NDArray[np.uint8], axis: int) -> NDArray[np.float32]:
    """One eager pass over a strip whose first axis is the image's axis."""
    images = strip[None] if axis == 0 else strip.swapaxes(0, 1)[None]
    output = np.asarray(keras.ops.convert_to_numpy(model(images, training=False))[0], np.float32)
    return output if axis == 0 else output.swapaxes(0, 1)
