"""Overlapping windows whose predictions are averaged, for models that cannot be tiled exactly.

Every window shows the model an image of the size that it was trained with. Near its border a
prediction lacks context, so it counts less there: it is weighted by a window function, and
the weights of all windows add up to 1 at every pixel. Grid and window function are products of
rows and columns, and so are the weights: none is summed up while predicting.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.geometry.axis import cover_axis, divide_axis
from tiledseg.tiling.geometry.grid import Grid, Tile

WindowFunction = Literal["hann", "gaussian"]

GAUSSIAN_SIGMA = 1 / 8
"""Deviation of the Gaussian, as a part of the window's side (Isensee et al. 2021, "nnU-Net",
Nature Methods 18, Supplementary Note 2)."""


@dataclass(frozen=True)
class BlendGrid(Grid):
    """Overlapping windows of one shape; a core reaches to the middle of the overlaps.

    Attributes:
        columns: Tiles in a row of them.
        window_function: How a prediction's weight falls towards the window's border.
    """

    columns: int
    window_function: WindowFunction

    def weights(self, index: int) -> NDArray[np.float32]:
        """Weight of each pixel of a tile's window, (window height, window width) float32.

        Those of all windows over a pixel of the image add up to 1.
        """
        row, column = divmod(index, self.columns)
        down, across = self._shares
        return np.asarray(down[row][:, np.newaxis] * across[column], np.float32)

    @cached_property
    def _shares(self) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """The weights of windows along rows and along columns."""
        fall = _FUNCTIONS[self.window_function]
        down = [tile.window[0] for tile in self.tiles[:: self.columns]]
        across = [tile.window[1] for tile in self.tiles[: self.columns]]
        return _shares(down, fall), _shares(across, fall)


def plan_blend_grid(
    height: int,
    width: int,
    *,
    tile_shape: tuple[int, int],
    overlap: float,
    window_function: WindowFunction = "hann",
) -> BlendGrid:
    """Cover an image with the fewest windows that overlap enough, evenly spread.

    An image that is shorter than a window gets one, which runs on beyond its end.

    Args:
        height: Rows of the image, in pixels.
        width: Columns of the image, in pixels.
        tile_shape: Height and width of every window, in pixels.
        overlap: Least overlap of neighbors: below 1 as a fraction of a window's side, from 1
            on in pixels.
        window_function: How a prediction's weight falls towards the window's border.

    Returns:
        The grid; every pixel of the image lies in exactly one core.

    Raises:
        TilingError: A size is impossible, or windows would overlap whole.
    """
    if height < 1 or width < 1:
        raise TilingError(f"an image of {height} x {width} pixels has nothing to tile; give 1 x 1")
    overlaps = [int(np.ceil(overlap * side if overlap < 1 else overlap)) for side in tile_shape]
    if overlap < 0 or any(o >= side for o, side in zip(overlaps, tile_shape, strict=True)):
        raise TilingError(
            f"windows of {tile_shape[0]} x {tile_shape[1]} px cannot overlap by {overlap:g}; set "
            "tiling.overlap to a fraction below 1, or to fewer pixels than a window has"
        )
    rows = _spans(height, tile_shape[0], overlaps[0])
    columns = _spans(width, tile_shape[1], overlaps[1])
    return BlendGrid(
        tiles=tuple(
            Tile((row_window, column_window), (row_core, column_core))
            for row_window, row_core in rows
            for column_window, column_core in columns
        ),
        tile_shape=tile_shape,
        padded_shape=(max(height, tile_shape[0]), max(width, tile_shape[1])),
        image_shape=(height, width),
        halo=min(overlaps) // 2,
        stride=1,
        columns=len(columns),
        window_function=window_function,
    )


def _spans(length: int, side: int, overlap: int) -> list[tuple[slice, slice]]:
    """Window and core of each tile along one axis."""
    origins = cover_axis(length, side, overlap)
    return [
        (slice(origin, origin + side), slice(start, stop))
        for origin, (start, stop) in zip(origins, divide_axis(length, side, origins), strict=True)
    ]


def _shares(
    windows: list[slice], function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Each window's part of the weights along an axis."""
    side = windows[0].stop - windows[0].start
    fall = function((np.arange(side) + 0.5) / side)
    total = np.zeros(windows[-1].stop)
    for window in windows:
        total[window] += fall
    return [np.asarray(fall / total[window]) for window in windows]


def _hann(place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sin(np.pi * place) ** 2)


def _gaussian(place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-(((place - 0.5) / GAUSSIAN_SIGMA) ** 2) / 2))


_FUNCTIONS = {"hann": _hann, "gaussian": _gaussian}
