"""Layers that Keras does not have; import them before loading a saved network.

They take images of any size (B, H, W, C), and compute nothing that depends on the backend.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

_MASKED = -1e9
"""Added to the logits of what is not to be attended to; finite, so that a row may be all masked."""


@keras.saving.register_keras_serializable(package="tiledseg")
class WindowAttention(layers.Layer):
    """Self-attention within square windows, optionally shifted by half a window.

    Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV
    2021, sections 3.1 and 3.2, with the relative position bias of equation 4. Sides that are no
    multiple of the window are padded, and nothing attends to padding; where a side is not longer
    than the window, it is not shifted.

    Args:
        heads: Heads of attention; divides the channels.
        window: Side of a window, in tokens.
        shifted: Windows start half a window further on, and wrap around without mixing.
    """

    def __init__(self, heads: int, window: int, *, shifted: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if heads < 1 or window < 1:
            raise ValueError(f"heads {heads} and window {window} must be at least 1")
        self.heads, self.window, self.shifted = heads, window, shifted

    def build(self, input_shape: Any) -> None:
        """Create the projections and the table of position biases."""
        channels = input_shape[-1]
        if channels % self.heads:
            raise ValueError(f"{channels} channels cannot be shared among {self.heads} heads")
        options = {"kernel_initializer": _small_normal(), "dtype": self.dtype_policy}
        self.project_in = layers.Dense(3 * channels, name="project_in", **options)
        self.project_in.build(input_shape)
        self.project_out = layers.Dense(channels, name="project_out", **options)
        self.project_out.build(input_shape)
        self.position_bias = self.add_weight(
            shape=((2 * self.window - 1) ** 2, self.heads),
            initializer=_small_normal(),
            name="position_bias",
        )

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """The shape of the input."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def call(self, inputs: Any) -> Any:
        """Attend within windows: (B, H, W, C) to the same shape."""
        batch, height, width, _ = ops.shape(inputs)
        channels, window = inputs.shape[-1], self.window
        rows, columns = (height + window - 1) // window, (width + window - 1) // window
        padding = [[0, 0], [0, rows * window - height], [0, columns * window - width], [0, 0]]
        tokens = ops.pad(inputs, padding)
        shift = window // 2 if self.shifted else 0
        shifts = [ops.where(count > 1, shift, 0) for count in (rows, columns)]
        if shift:
            tokens = ops.roll(tokens, [-shifts[0], -shifts[1]], axis=[1, 2])
        tokens = ops.reshape(tokens, (batch, rows, window, columns, window, channels))
        tokens = ops.transpose(tokens, (0, 1, 3, 2, 4, 5))
        tokens = ops.reshape(tokens, (batch, rows * columns, window * window, channels))
        allowed = self._allow_pairs((height, width), (rows, columns), shifts)
        tokens = self._attend(tokens, ops.where(allowed, 0.0, _MASKED))
        tokens = ops.reshape(tokens, (batch, rows, columns, window, window, channels))
        tokens = ops.transpose(tokens, (0, 1, 3, 2, 4, 5))
        tokens = ops.reshape(tokens, (batch, rows * window, columns * window, channels))
        if shift:
            tokens = ops.roll(tokens, shifts, axis=[1, 2])
        return tokens[:, :height, :width]

    def _attend(self, tokens: Any, mask: Any) -> Any:
        """Attention among the tokens of each window, (B, windows, N, C); softmax in float32."""
        batch, windows, count, _ = ops.shape(tokens)
        channels = tokens.shape[-1]
        size = channels // self.heads
        split = ops.reshape(self.project_in(tokens), (batch, windows, count, 3, self.heads, size))
        query, key, value = (split[:, :, :, index] for index in range(3))
        logits = ops.einsum("bwqhd,bwkhd->bwhqk", query * size**-0.5, key)
        logits = ops.cast(logits, "float32") + self._bias() + mask[None, :, None]
        weights = ops.cast(ops.softmax(logits, axis=-1), self.compute_dtype)
        answer = ops.einsum("bwhqk,bwkhd->bwqhd", weights, value)
        return self.project_out(ops.reshape(answer, (batch, windows, count, channels)))

    def _bias(self) -> Any:
        """Bias of every pair of a window's tokens, (heads, N, N) float32."""
        index = relative_positions(self.window)
        bias = ops.take(ops.cast(self.position_bias, "float32"), index.ravel(), axis=0)
        return ops.transpose(ops.reshape(bias, (*index.shape, self.heads)), (2, 0, 1))

    def _allow_pairs(self, size: Any, counts: Any, shifts: Any) -> Any:
        """The pairs of tokens of a window that may attend to each other, (windows, N, N) bool."""
        regions, inside = [], []
        for length, count, shift in zip(size, counts, shifts, strict=True):
            position = ops.arange(count * self.window)
            wrapped = position >= count * self.window - shift
            source = ops.where(wrapped, position - count * self.window, position) + shift
            regions.append(ops.reshape(ops.cast(wrapped, "int32"), (count, self.window)))
            inside.append(ops.reshape(source < length, (count, self.window)))
        region = 2 * _split_windows(regions[0], 0) + _split_windows(regions[1], 1)
        within = ops.logical_and(_split_windows(inside[0], 0), _split_windows(inside[1], 1))
        tokens = (counts[0] * counts[1], self.window**2)
        region, within = ops.reshape(region, tokens), ops.reshape(within, tokens)
        return ops.logical_and(region[:, :, None] == region[:, None], within[:, None])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"heads": self.heads, "window": self.window, "shifted": self.shifted}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="tiledseg")
class NeighborStack(layers.Layer):
    """Squares of 2 x 2 tokens as one token: (B, H, W, C) to (B, H/2, W/2, 4 C).

    The order is that of Swin's patch merging: down first, then right.
    """

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Half the sides, four times the channels."""
        batch, height, width, channels = input_shape
        halves = [None if side is None else side // 2 for side in (height, width)]
        return (batch, *halves, 4 * channels)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """See ``compute_output_shape``."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def call(self, inputs: Any) -> Any:
        """Stack the neighbors."""
        corners = [inputs[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return ops.concatenate(corners, axis=-1)


@keras.saving.register_keras_serializable(package="tiledseg")
class PositionEmbedding(layers.Layer):
    """A learned vector for every place of a grid, added to tokens (B, H, W, C).

    For other sizes than the grid's, vectors are interpolated bilinearly between the grid's
    centers, as for transformers that see other sizes than they were made for (Dosovitskiy et
    al., ICLR 2021, section 3.2).

    Args:
        grid: Side of the grid.
    """

    def __init__(self, grid: int, **options: Any) -> None:
        super().__init__(**options)
        if grid < 1:
            raise ValueError(f"grid {grid} must be at least 1")
        self.grid = grid

    def build(self, input_shape: Any) -> None:
        """Create the vectors, zero at first."""
        self.embedding = self.add_weight(
            shape=(self.grid, self.grid, input_shape[-1]), initializer="zeros", name="embedding"
        )

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """The shape of the input."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def call(self, inputs: Any) -> Any:
        """Add the vectors."""
        _, height, width, _ = ops.shape(inputs)
        shares = [ops.cast(self._shares(side), self.compute_dtype) for side in (height, width)]
        table = ops.cast(self.embedding, self.compute_dtype)
        return inputs + ops.einsum("hg,wk,gkc->hwc", *shares, table)

    def _shares(self, length: Any) -> Any:
        """What each place of the grid gives to each of ``length`` tokens, (length, grid)."""
        centers = (ops.cast(ops.arange(length), "float32") + 0.5) * self.grid
        places = ops.clip(centers / ops.cast(length, "float32") - 0.5, 0.0, self.grid - 1.0)
        distance = ops.abs(places[:, None] - ops.arange(self.grid, dtype="float32"))
        return ops.maximum(1.0 - distance, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "grid": self.grid}


@keras.saving.register_keras_serializable(package="tiledseg")
class StandardizedConv2D(layers.Conv2D):
    """A convolution whose kernels are brought to mean 0 and deviation 1 before each use.

    Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight
    Standardization", 2019, equation 8.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve with the standardised kernel."""
        plain = ops.cast(kernel, "float32")
        mean, variance = ops.moments(plain, axes=[0, 1, 2], keepdims=True)
        standard = (plain - mean) * ops.rsqrt(variance + 1e-5)
        return super().convolution_op(inputs, ops.cast(standard, self.compute_dtype))


def relative_positions(window: int) -> NDArray[np.int32]:
    """Row of the bias table for each pair of tokens in a window, (window², window²).

    Tokens count along rows; each of the (2 window - 1)² displacements has a row of its own.
    """
    row, column = np.divmod(np.arange(window**2, dtype=np.int32), window)
    down = row[:, np.newaxis] - row + window - 1
    right = column[:, np.newaxis] - column + window - 1
    positions: NDArray[np.int32] = down * (2 * window - 1) + right
    return positions


def _split_windows(marks: Any, axis: int) -> Any:
    """Marks of one axis (count, window), shaped to meet those of the other as windows."""
    return marks[:, None, :, None] if axis == 0 else marks[None, :, None, :]


def _small_normal() -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=0.02)
