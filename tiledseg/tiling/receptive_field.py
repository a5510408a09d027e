"""Halo and stride of a Keras graph: computed by walking it backwards, checked by perturbing."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.reach import (
    MERGING,
    POINTWISE,
    Indices,
    Reach,
    layer_reach,
    layer_stride,
    untileable,
)

LEAK_TOLERANCE = 1e-5
"""Change of an output, relative to the larger of 1 and the output, that counts as none."""

STRIP_BREADTH = 32
"""Least breadth of the strips that are perturbed, in pixels."""


@dataclass(frozen=True)
class ReceptiveField:
    """What a tile must respect to give the whole-image answer.

    Attributes:
        halo: Pixels of context that an output pixel needs on each side (at most).
        stride: Tiles start on multiples of this, and sides are multiples of it, in pixels.
    """

    halo: int
    stride: int


@dataclass(frozen=True)
class _Tensor:
    """One tensor of the graph along one axis.

    scale is input pixels per pixel of this tensor; excess is how many pixels longer it
    is than the input's length divided by the scale.
    """

    key: int
    sources: tuple[int, ...]
    reach: Reach
    scale: Fraction
    excess: int

    def context(self, phases: Indices, low: Indices, high: Indices) -> int:
        """Input pixels around the outputs that make this tensor hold low..high."""
        up, down = self.scale.numerator, self.scale.denominator
        before = phases - low * up // down
        after = (high - self.excess) * up // down - phases
        return int(max(before.max(), after.max(), 0))


def receptive_field(model: keras.Model) -> ReceptiveField:
    """Compute halo and stride of a Keras functional model, by exact integer arithmetic.

    The graph is walked backwards from the output: for each phase of the output in one
    stride, the interval of indices that is needed of every tensor (Araujo, Norris & Sim
    2019, "Computing Receptive Fields of Convolutional Neural Networks", Distill, extended
    by transposed layers and phases). The halo also keeps every intermediate interval
    inside the tile, which only matters for graphs that shift their tensors.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).

    Returns:
        The receptive field; the larger halo and the common stride of both axes.

    Raises:
        TilingError: If a layer is not known, tensors of different scales are merged, or
            the output is not of the input's size.
    """
    nodes = _nodes(model)
    axes = [_tensors(nodes, axis) for axis in (0, 1)]
    stride = math.lcm(*(tensor.scale.numerator for tensors in axes for tensor in tensors))
    return ReceptiveField(max(_halo(tensors, stride) for tensors in axes), stride)


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
                "for a layer or activation that reads the whole image, or predict whole images"
            )


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
    twin = keras.models.clone_model(
        _graph(model),
        clone_function=_linear_twin,
        call_function=lambda layer, *inputs, **_: layer(*inputs),
    )
    rng = np.random.default_rng(0)
    for weight in twin.weights:
        height, width, *channels = weight.shape
        scale = height * width * math.prod(channels) ** 0.5
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) / scale)
    return max(_farthest_change(twin, field, axis) for axis in (0, 1))


def _graph(model: Any) -> Any:
    """The Functional model that holds the graph; a Sequential keeps one inside."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise TilingError(
            f"model {model.name!r} ({type(model).__name__}) has no graph to read, so it cannot be "
            "tiled exactly; build it as a Functional or Sequential model with an Input"
        )
    return graph


def _nodes(model: Any) -> list[Any]:
    """Nodes of the graph, inputs first."""
    graph = _graph(model)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(graph.inputs[0].shape) != 4:
        raise TilingError(
            f"model {model.name!r} has inputs {graph.inputs} and outputs {graph.outputs}; "
            "tiling needs one image (N, H, W, C) in and one out"
        )
    by_depth = graph._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _tensors(nodes: list[Any], axis: int) -> list[_Tensor]:
    """Scale and size of every tensor along an axis, for an input divisible by all strides."""
    length = 4096 * math.prod(layer_stride(node.operation, axis) for node in nodes)
    known: dict[int, _Tensor] = {}
    for node in nodes:
        key = id(node.outputs[0])
        if node.is_input:
            known[key] = _Tensor(key, (), Reach(), Fraction(1), 0)
            continue
        sources = [known[id(tensor)] for tensor in node.input_tensors]
        known[key] = _follow(node, key, sources, axis, length)
    tensors = list(known.values())
    if tensors[-1].scale != 1 or tensors[-1].excess != 0:
        raise TilingError(
            f"the model's output is not of its input's size (scale {tensors[-1].scale}, "
            f"{tensors[-1].excess:+d} px along axis {axis}); tiling needs one value per pixel"
        )
    return tensors


def _follow(node: Any, key: int, sources: list[_Tensor], axis: int, length: int) -> _Tensor:
    """The tensor that a node makes of its sources."""
    layer, source = node.operation, sources[0]
    if node.arguments.kwargs.get("training"):
        raise untileable(layer, "it is called with training=True")
    if any((s.scale, s.excess) != (source.scale, source.excess) for s in sources):
        raise untileable(layer, "it merges tensors of different scales or sizes")
    size = int(length / source.scale) + source.excess
    reach = layer_reach(layer, axis, size)
    scale = source.scale * reach.down / reach.up
    if type(layer) not in MERGING:
        channels = node.input_tensors[0].shape[-1]
        size = layer.compute_output_shape((1, size, size, channels))[1 + axis]
    excess = size - int(length / scale)
    return _Tensor(key, tuple(s.key for s in sources), reach, scale, excess)


def _halo(tensors: list[_Tensor], stride: int) -> int:
    """Walk backwards with the interval each output phase needs of every tensor."""
    phases = np.arange(stride, dtype=np.int64)
    needed = {tensors[-1].key: (phases, phases)}
    halo = 0
    for tensor in reversed(tensors):
        low, high = needed[tensor.key]
        halo = max(halo, tensor.context(phases, low, high))
        first, last = tensor.reach.sources(low, high)
        for source in tensor.sources:
            lowest, highest = needed.get(source, (first, last))
            needed[source] = (np.minimum(lowest, first), np.maximum(highest, last))
    return halo


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


def _linear_twin(layer: Any) -> Any:
    """A layer that reads the same pixels, with positive sums in place of all arithmetic."""
    if type(layer) in POINTWISE:
        return keras.layers.Identity(name=layer.name)
    if type(layer) in MERGING and not isinstance(layer, keras.layers.Concatenate):
        return keras.layers.Add(name=layer.name)
    config = layer.get_config()
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
