"""Halo and stride of a Keras graph, computed by walking it backwards."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import keras
import numpy as np

from tiledseg.errors import TilingError
from tiledseg.tiling.network.graph import TRAINS, Step, steps_of
from tiledseg.tiling.network.layer_footprint import (
    MERGING,
    Indices,
    LayerFootprint,
    layer_footprint,
    layer_stride,
    untileable,
)


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
    footprint: LayerFootprint
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
    steps = steps_of(model)
    axes = [_tensors(steps, axis) for axis in (0, 1)]
    stride = math.lcm(*(tensor.scale.numerator for tensors in axes for tensor in tensors))
    return ReceptiveField(
        max(context for tensors in axes for context in _contexts(tensors, stride).values()), stride
    )


@dataclass(frozen=True)
class AxisNeeds:
    """What each step of a graph needs along one axis, by the number of its result.

    Attributes:
        contexts: Pixels of the image on each side of an output pixel that the step's own part of
            that output depends on, at most.
        scales: Pixels of the image per pixel of the result.
        growing: Steps that make more pixels of fewer.
    """

    contexts: Mapping[int, int]
    scales: Mapping[int, int]
    growing: frozenset[int]


def axis_needs(steps: list[Step], axis: int, stride: int) -> AxisNeeds | None:
    """What the steps of a graph need along an axis.

    Args:
        steps: Of ``steps_of``.
        axis: 0 for rows, 1 for columns.
        stride: Of the receptive field.

    Returns:
        The needs; None where a tensor is finer than the image, or longer or shorter than its part
        of it.

    Raises:
        TilingError: See ``receptive_field``.
    """
    tensors = _tensors(steps, axis)
    if any(tensor.scale.denominator != 1 or tensor.excess for tensor in tensors):
        return None
    return AxisNeeds(
        contexts=_contexts(tensors, stride),
        scales={tensor.key: tensor.scale.numerator for tensor in tensors},
        growing=frozenset(tensor.key for tensor in tensors if tensor.footprint.up > 1),
    )


def _tensors(steps: list[Step], axis: int) -> list[_Tensor]:
    """Scale and size of every tensor along an axis, for an input divisible by all strides."""
    length = 4096 * math.prod(layer_stride(step.layer, axis) for step in steps)
    known: dict[int, _Tensor] = {}
    for step in steps:
        if step.layer is None:
            known[step.result] = _Tensor(step.result, (), LayerFootprint(), Fraction(1), 0)
        else:
            sources = [known[source] for source in step.sources]
            known[step.result] = _follow(step, sources, axis, length)
    tensors = list(known.values())
    if tensors[-1].scale != 1 or tensors[-1].excess != 0:
        raise TilingError(
            f"the model's output is not of its input's size (scale {tensors[-1].scale}, "
            f"{tensors[-1].excess:+d} px along axis {axis}); tiling needs one value per pixel"
        )
    return tensors


def _follow(step: Step, sources: list[_Tensor], axis: int, length: int) -> _Tensor:
    """The tensor that a step makes of its sources."""
    layer, source = step.layer, sources[0]
    if any((s.scale, s.excess) != (source.scale, source.excess) for s in sources):
        raise untileable(layer, "it merges tensors of different scales or sizes")
    size = int(length / source.scale) + source.excess
    footprint = layer_footprint(layer, axis, size)
    if step.trains:
        raise untileable(layer, TRAINS)
    scale = source.scale * footprint.down / footprint.up
    if type(layer) not in MERGING:
        size = layer.compute_output_shape((1, size, size, step.channels[0]))[1 + axis]
    excess = size - int(length / scale)
    return _Tensor(step.result, step.sources, footprint, scale, excess)


def _contexts(tensors: list[_Tensor], stride: int) -> dict[int, int]:
    """Walk backwards with the interval each output phase needs of every tensor.

    Returns:
        For every tensor how many input pixels around an output its sources hold for it.
    """
    phases = np.arange(stride, dtype=np.int64)
    needed = {tensors[-1].key: (phases, phases)}
    known = {tensor.key: tensor for tensor in tensors}
    contexts = {}
    for tensor in reversed(tensors):
        low, high = needed[tensor.key]
        first, last = tensor.footprint.sources(low, high)
        for source in tensor.sources:
            lowest, highest = needed.get(source, (first, last))
            needed[source] = (np.minimum(lowest, first), np.maximum(highest, last))
        around = [known[source].context(phases, first, last) for source in tensor.sources]
        contexts[tensor.key] = max(around, default=0)
    return contexts
