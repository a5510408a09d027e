"""What one output pixel of a Keras layer reads, along one axis."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import layers
from numpy.typing import NDArray

from tiledseg.errors import TilingError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class LayerFootprint:
    r"""Source indices of a layer's output, in coordinates that run on beyond the image.

    Output index i reads ``ceil((i * down - before) / up) .. floor((i * down + after) / up)``::

        3-pixel convolution, down 2, before 0      doubling, up 2, before 1, after 0

        input   0 1 2 3 4 5 6                      input    0   1   2
                |_|_| |_|_|                                / \ / \ / \
        output    0 1   2                          output 0  1 2  3 4  5

    Attributes:
        down: Stride of a convolution or pooling.
        up: Stride of a transposed convolution, factor of an upsampling.
        before: LayerFootprint towards lower indices, on the finer of the two grids.
        after: LayerFootprint towards higher indices, on the finer of the two grids.
    """

    down: int = 1
    up: int = 1
    before: int = 0
    after: int = 0

    def sources(self, low: Indices, high: Indices) -> tuple[Indices, Indices]:
        """The interval of source indices that the output interval low..high reads.

        An output that reads nothing (a transposed kernel shorter than its stride)
        is given the source pixel it lies in.
        """
        first = -((self.before - low * self.down) // self.up)
        last = (high * self.down + self.after) // self.up
        return np.minimum(first, last), last


def layer_footprint(layer: Any, axis: int, size: int) -> LayerFootprint:
    """Look up what a layer reads.

    Padding "same" follows TensorFlow: of an odd number of padding pixels the smaller
    half comes first (https://www.tensorflow.org/api_docs/python/tf/nn, "Notes on padding").

    Args:
        layer: A Keras layer.
        axis: 0 for rows, 1 for columns.
        size: Length of the layer's input along the axis, in its own pixels.

    Returns:
        The layer's footprint.

    Raises:
        TilingError: If tiles cannot give what one pass over the whole image gives.
    """
    if isinstance(layer, _WHOLE):
        raise untileable(layer, "it looks at the whole image")
    if getattr(layer, "data_format", None) == "channels_first":
        raise untileable(layer, "its channels come first; use data_format 'channels_last'")
    if type(layer) in POINTWISE + MERGING:
        _check_pointwise(layer)
        return LayerFootprint()
    if type(layer) not in _RULES:
        raise untileable(layer, "what it reads of its input is not known")
    return _RULES[type(layer)](layer, axis, size)


def layer_stride(layer: Any, axis: int) -> int:
    """Stride of a layer that has one, along an axis in the layer's own pixels; 1 of others."""
    strided = type(layer) in _RULES and hasattr(layer, "strides")
    return int(layer.strides[axis]) if strided else 1


def untileable(layer: Any, reason: str) -> TilingError:
    """The error for a layer that stands in the way of exact tiling."""
    return TilingError(
        f"the model cannot be tiled exactly because of layer {layer.name!r} "
        f"({type(layer).__name__}): {reason}; replace the layer, or blend (tiling.mode)"
    )


def _check_pointwise(layer: Any) -> None:
    axes = getattr(layer, "axis", -1)
    if any(axis not in {-1, 3} for axis in (axes if isinstance(axes, list | tuple) else [axes])):
        raise untileable(layer, f"its axis {axes} is not that of the channels (-1)")
    if isinstance(layer, layers.PReLU) and not {1, 2} <= set(layer.shared_axes or ()):
        raise untileable(layer, "it learned a slope for each pixel; use shared_axes=[1, 2]")


def _window(extent: int, stride: int, padding: str, size: int) -> LayerFootprint:
    outputs = -(-size // stride)
    pad = max((outputs - 1) * stride + extent - size, 0) // 2 if padding == "same" else 0
    return LayerFootprint(down=stride, before=pad, after=extent - 1 - pad)


def _extent(layer: Any, axis: int) -> int:
    return int((layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1)


def _convolution(layer: Any, axis: int, size: int) -> LayerFootprint:
    return _window(_extent(layer, axis), layer.strides[axis], layer.padding, size)


def _pooling(layer: Any, axis: int, size: int) -> LayerFootprint:
    return _window(layer.pool_size[axis], layer.strides[axis], layer.padding, size)


def _transposed_convolution(layer: Any, axis: int, size: int) -> LayerFootprint:  # noqa: ARG001
    if layer.output_padding is not None:
        raise untileable(layer, f"output_padding {layer.output_padding} is not None")
    extent, stride = _extent(layer, axis), layer.strides[axis]
    pad = max(extent - stride, 0) // 2 if layer.padding == "same" else 0
    return LayerFootprint(up=stride, before=extent - 1 - pad, after=pad)


def _upsampling(layer: Any, axis: int, size: int) -> LayerFootprint:  # noqa: ARG001
    factor = layer.size[axis]
    if layer.interpolation == "nearest":
        return LayerFootprint(up=factor, before=factor - 1)
    if layer.interpolation != "bilinear":
        raise untileable(layer, f"interpolation {layer.interpolation!r} is not known here")
    return LayerFootprint(up=factor, before=factor - 1 + factor // 2, after=factor // 2)


def _zero_padding(layer: Any, axis: int, size: int) -> LayerFootprint:  # noqa: ARG001
    added = layer.padding[axis][0]
    return LayerFootprint(before=added, after=-added)


def _cropping(layer: Any, axis: int, size: int) -> LayerFootprint:  # noqa: ARG001
    removed = layer.cropping[axis][0]
    return LayerFootprint(before=-removed, after=removed)


POINTWISE: tuple[Any, ...] = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.BatchNormalization,
    layers.Dense,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LayerNormalization,
    layers.LeakyReLU,
    layers.PReLU,
    layers.RMSNormalization,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
    layers.SpatialDropout2D,
    layers.UnitNormalization,
)
"""Layers whose output pixel reads the same pixel of the one input (in inference)."""

_WHOLE: tuple[Any, ...] = (
    layers.AdaptiveAveragePooling2D,
    layers.AdaptiveMaxPooling2D,
    layers.AdditiveAttention,
    layers.Attention,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.GroupNormalization,
    layers.GroupQueryAttention,
    layers.MultiHeadAttention,
    layers.Resizing,
)
"""Layers whose every output pixel depends on all pixels, or on how many there are."""

MERGING: tuple[Any, ...] = (
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)
"""Layers whose output pixel reads the same pixel of each input."""

_RULES: dict[Any, Callable[[Any, int, int], LayerFootprint]] = {
    layers.AveragePooling2D: _pooling,
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _transposed_convolution,
    layers.Cropping2D: _cropping,
    layers.DepthwiseConv2D: _convolution,
    layers.MaxPooling2D: _pooling,
    layers.SeparableConv2D: _convolution,
    layers.UpSampling2D: _upsampling,
    layers.ZeroPadding2D: _zero_padding,
}
