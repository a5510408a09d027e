"""What proves that tiling is exact: tiles of one size over an array, and the halo as it shows."""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.tiling.execution.single_pass import check_image
from tiledseg.tiling.execution.streaming import predict_regions
from tiledseg.tiling.geometry.grid import plan_grid
from tiledseg.tiling.geometry.regions import ArraySink, ArraySource, Forward
from tiledseg.tiling.network.exactness import model_field
from tiledseg.tiling.network.graph import steps_of
from tiledseg.tiling.network.layer_footprint import MERGING, POINTWISE
from tiledseg.tiling.network.receptive_field import ReceptiveField, receptive_field


def predict_tiled(
    model: keras.Model,
    image: NDArray[np.uint8],
    *,
    max_tile: int,
    field: ReceptiveField | None = None,
    forward: Forward | None = None,
) -> NDArray[np.float32]:
    """Predict an image tile by tile, with the answer of one pass over the whole image.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).
        image: Uint8 array (H, W, C), already pre-processed; the model rescales it.
        max_tile: Largest side of a tile, halo included, in pixels.
        field: Halo and stride to use; computed and verified if not given.
        forward: Another runtime's pass over a batch; Keras' own, compiled, if not given.

    Returns:
        Float32 array (H, W, K).

    Raises:
        TilingError: If the image does not suit the model, the model cannot be tiled
            exactly, max_tile is too small for its halo, or a value is not finite.
    """
    field = field or model_field(model)
    check_image(model, image)
    height, width, _ = image.shape
    grid = plan_grid(height, width, halo=field.halo, stride=field.stride, max_tile=max_tile)
    sink = ArraySink(height, width, model.output_shape[-1])
    predict_regions(model, ArraySource(image), sink, grid=grid, forward=forward)
    return sink.values


def perturbed_halo(model: keras.Model) -> int:
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
    border = (field.halo // field.stride + 2) * field.stride
    shape = (2 * border + field.stride, -(-32 // field.stride) * field.stride, twin.input_shape[-1])
    lines = border + np.arange(field.stride)
    images = np.zeros((field.stride, *shape), np.float32)
    images[np.arange(field.stride), lines] = 1.0
    if axis == 1:
        images = images.swapaxes(1, 2)
    output = keras.ops.convert_to_numpy(twin(images, training=False))
    changed = (output > 0).any(axis=(2 - axis, 3))
    image, position = np.nonzero(changed)
    return int(np.abs(position - lines[image]).max(initial=0))
