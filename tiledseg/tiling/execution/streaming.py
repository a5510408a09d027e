"""An image of any size through a network: read, forward and write side by side."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from tiledseg.backend import compile_forward, reserve_memory
from tiledseg.errors import TilingError
from tiledseg.tiling.execution.memory import bytes_per_pixel
from tiledseg.tiling.execution.stages import run_stages
from tiledseg.tiling.geometry.blend import BlendGrid
from tiledseg.tiling.geometry.grid import Grid
from tiledseg.tiling.geometry.regions import (
    Forward,
    Region,
    RegionSink,
    RegionSource,
    Values,
    WindowPass,
    Windows,
)
from tiledseg.tiling.geometry.stitch import stitcher_for
from tiledseg.tiling.geometry.windows import read_window
from tiledseg.tiling.network.trimming import trim_pass

BATCH_PIXELS = 512 * 512
"""Small windows go through the network together up to this many pixels."""


def windows_at_once(grid: Grid, most_pixels: int | None = None) -> int:
    """How many windows of a grid go through the network together.

    Args:
        grid: The tiles.
        most_pixels: What the memory has room for, if that is less than ``BATCH_PIXELS``.
    """
    most = BATCH_PIXELS if most_pixels is None else min(BATCH_PIXELS, most_pixels)
    return max(1, min(len(grid.tiles), most // (grid.tile_shape[0] * grid.tile_shape[1])))


def predict_regions(
    model: keras.Model,
    source: RegionSource,
    sink: RegionSink,
    *,
    grid: Grid,
    most_pixels: int | None = None,
    finished: frozenset[int] = frozenset(),
    on_batch: Callable[[Sequence[int]], object] = lambda _: None,
    forward: Forward | None = None,
) -> None:
    """Predict an image tile by tile, without holding more than a few tiles of it.

    One thread reads windows, the calling one computes, another writes cores; at most four
    batches are alive at once, whatever the size of the image. A grid that blends also keeps a
    strip as wide as the image.

    Args:
        model: (N, H, W, C) -> (N, H, W, K).
        source: The image, pre-processed; the model rescales it.
        sink: Is given the core of every tile once, from a thread of ours.
        grid: The tiles of the image.
        most_pixels: Pixels that may go through the network together, where the memory has room
            for fewer than usual; a single window does in any case.
        finished: Indices in ``grid.tiles`` of cores that the sink holds already.
        on_batch: Told, from the writing thread, which tiles' cores have just been written.
        forward: A pass over whole windows; if not given, Keras' own, compiled, which leaves out
            what the cores do not need (``trimming``).

    Raises:
        TilingError: The image does not suit the model or the grid, or a value is not finite.
        Exception: What the source, the sink or ``on_batch`` raised, by its own type.
    """
    check_channels(model, source.shape)
    if source.shape[:2] != grid.image_shape:
        raise TilingError(
            f"the image is {source.shape[:2]} pixels, the grid's {grid.image_shape}; "
            "plan the grid for the image"
        )
    stitcher = stitcher_for(grid, model.output_shape[-1], finished)
    at_once = windows_at_once(grid, most_pixels)
    compute: WindowPass | None = None
    if forward is None and at_once == 1 and not isinstance(grid, BlendGrid):
        compute = trim_pass(model, grid)
    if compute is None:
        whole = forward or compile_forward(model)
        compute = _UntrimmedWindows(whole, grid, stitcher.parts, model.output_shape[-1])
    reserve_memory((bytes_per_pixel(model) or 0) * at_once * math.prod(grid.tile_shape))

    def read() -> Iterator[tuple[Sequence[int], Windows]]:
        for indices in _batches(stitcher.needed, at_once):
            windows = [read_window(source, grid.tiles[index].window) for index in indices]
            yield indices, np.stack(windows)

    def predict(batch: tuple[Sequence[int], Windows]) -> tuple[Sequence[int], list[Values]]:
        indices, windows = batch
        return indices, compute(windows, indices)

    def write(batch: tuple[Sequence[int], list[Values]]) -> None:
        written = []
        for index, values in zip(*batch, strict=True):
            _check_finite(model, values, grid.tiles[index].window, stitcher.parts[index])
            for complete, core in stitcher.add(index, values):
                sink.write(grid.tiles[complete].core, core)
                written.append(complete)
        if written:
            on_batch(written)

    run_stages(read(), predict, write)


class _UntrimmedWindows:
    """A pass over whole windows, of which a part is used."""

    def __init__(self, forward: Forward, grid: Grid, parts: Sequence[Region], classes: int) -> None:
        self._forward, self._parts = forward, parts
        self._expected = (*grid.tile_shape, classes)

    def __call__(self, windows: Windows, indices: Sequence[int]) -> list[Values]:
        """See ``WindowPass``."""
        predictions = self._forward(windows)
        if predictions.shape[1:] != self._expected:
            raise TilingError(
                f"the prediction of a tile has shape {predictions.shape[1:]} instead of "
                f"{self._expected}; the model must return its input's size"
            )
        return [
            prediction[self._parts[index]]
            for index, prediction in zip(indices, predictions, strict=True)
        ]


def check_channels(model: Any, shape: tuple[int, ...]) -> None:
    """Refuse an image whose channels are not those that the model reads."""
    if shape[2] != model.input_shape[-1]:
        raise TilingError(
            f"the image has {shape[2]} channels, model {model.name!r} reads "
            f"{model.input_shape[-1]}; convert the image (image.channels, image.color_space)"
        )


def _batches(indices: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """Batches of nearly equal length, of at most so many."""
    if not indices:
        return
    count = -(-len(indices) // most)
    for start, stop in pairwise(k * len(indices) // count for k in range(count + 1)):
        yield indices[start:stop]


def _check_finite(model: Any, values: Values, window: Region, part: Region) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        place = np.argwhere(~finite)[0][:2]
        row, column = (
            int(p) + inside.start + outside.start
            for p, inside, outside in zip(place, part, window, strict=True)
        )
        raise TilingError(
            f"model {model.name!r} gave NaN or infinity at row {row}, column {column}; look for "
            "NaN in its weights"
        )
