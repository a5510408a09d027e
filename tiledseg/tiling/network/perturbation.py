"""The receptive field of a Keras model as it shows: what changes when pixels change."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.network.graph import steps_of
from tiledseg.tiling.network.layer_footprint import MERGING, POINTWISE
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


def perturb_halo(model: keras.Model) -> int:
    """Measure the halo by perturbing the input, one line for each phase of the stride.

    The weights do not matter to the halo but may hide it, so a linear twin of the model is
    perturbed: positive weights, no biases, activations left out, products and maxima made
    sums. Its output is zero wherever the perturbed line is not read, and positive elsewhere.
    Padding, pooling and interpolation are the backend's own.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).

    Returns:
        Farthest distance between a changed input and a changed output, in pixels.

    Raises:
        TilingError: If the model is not one that receptive_field reads.
    """
    field = receptive_field(model)
    twin = _linear_twin(model)
    return max(_farthest_change(twin, field, axis) for axis in (0, 1))


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


def _linear_twin(model: Any) -> Any:
    """A model that reads the same pixels, with positive sums in place of all arithmetic."""
    first, *steps = steps_of(model)
    image = keras.Input((None, None, model.input_shape[-1]))
    tensors, twins = {first.result: image}, {}
    for step in steps:
        if id(step.layer) not in twins:
            twins[id(step.layer)] = _linear_layer(step.layer)
        sources = [tensors[source] for source in step.sources]
        merges = type(step.layer) in MERGING
        tensors[step.result] = twins[id(step.layer)](sources if merges else sources[0])
    twin = keras.Model(image, tensors[steps[-1].result] if steps else image)
    rng = np.random.default_rng(0)
    for weight in twin.weights:
        *extent, entering, leaving = weight.shape
        scale = math.prod(extent) * math.sqrt(entering * leaving)
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) / scale)
    return twin


def _linear_layer(layer: Any) -> Any:
    if type(layer) in MERGING and not isinstance(layer, keras.layers.Concatenate):
        return keras.layers.Add()
    if type(layer) in POINTWISE and not isinstance(layer, keras.layers.Dense):
        return keras.layers.Identity()
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    plain = {"activation": "linear", "use_bias": False, "dtype": "float32"}
    return type(layer).from_config(config | {k: v for k, v in plain.items() if k in config})


def _farthest_change(twin: Any, field: ReceptiveField, axis: int) -> int:
    """Farthest output that a line of ones changes, over the phases of one stride."""
    border, shape = _strip(twin, field)
    lines = border + np.arange(field.stride)
    images = np.zeros((field.stride, *shape), np.float32)
    images[np.arange(field.stride), lines] = 1.0
    if axis == 1:
        images = images.swapaxes(1, 2)
    output = keras.ops.convert_to_numpy(twin(images, training=False))
    changed = (output > 0).any(axis=(2 - axis, 3))
    image, position = np.nonzero(changed)
    return int(np.abs(position - lines[image]).max(initial=0))
