"""From predictions of windows to the cores of an image."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from tiledseg.tiling.geometry.blend import BlendGrid
from tiledseg.tiling.geometry.grid import Grid, Tile
from tiledseg.tiling.geometry.regions import Region, Values


class Stitcher(Protocol):
    """Takes predictions of windows in the order of ``needed``, gives cores when they are whole."""

    needed: list[int]
    """Tiles that have to be predicted."""
    parts: Sequence[Region]
    """Of each tile, rows and columns of its window whose prediction is used."""

    def add(self, index: int, values: Values) -> Iterator[tuple[int, Values]]:
        """Take the prediction (h, w, K) of the part of a tile that is used.

        Returns:
            Tiles whose cores are whole now, with the cores' values.
        """
        ...


def stitcher_for(grid: Grid, classes: int, finished: frozenset[int]) -> Stitcher:
    """The stitcher that a grid is made for.

    Args:
        grid: The tiles.
        classes: Channels of a prediction.
        finished: Tiles whose cores are not wanted.
    """
    if isinstance(grid, BlendGrid):
        return BlendStitcher(grid, classes, finished)
    return CropStitcher(grid, finished)


class CropStitcher:
    """Keeps the core of every window; overlaps are computed twice and used once."""

    def __init__(self, grid: Grid, finished: frozenset[int]) -> None:
        self.needed = [index for index in range(len(grid.tiles)) if index not in finished]
        self.parts: Sequence[Region] = [tile.core_in_window for tile in grid.tiles]

    def add(self, index: int, values: Values) -> Iterator[tuple[int, Values]]:
        """See ``Stitcher``."""
        yield index, values


class BlendStitcher:
    """Adds up weighted windows in a strip of the image, and gives the cores that are whole.

    The strip is as wide as the image, and not much higher than a window.
    """

    def __init__(self, grid: BlendGrid, classes: int, finished: frozenset[int]) -> None:
        self._grid, self._classes = grid, classes
        self._wanted = deque(index for index in range(len(grid.tiles)) if index not in finished)
        self.needed = _overlapping(grid, self._wanted)
        everything = slice(0, grid.tile_shape[0]), slice(0, grid.tile_shape[1])
        self.parts: Sequence[Region] = [everything] * len(grid.tiles)
        following = (grid.tiles[index].window[0].start for index in self.needed[1:])
        self._whole_until = dict(zip(self.needed, [*following, grid.padded_shape[0]], strict=False))
        self._top = 0
        self._strip: Values = np.zeros((0, grid.image_shape[1], classes), np.float32)

    def add(self, index: int, values: Values) -> Iterator[tuple[int, Values]]:
        """See ``Stitcher``."""
        rows, columns = self._grid.tiles[index].window
        self._move_strip(rows)
        part = self._strip[rows.start - self._top : rows.stop - self._top, columns]
        weighted = values * self._grid.weights(index)[..., np.newaxis]
        part += weighted[: part.shape[0], : part.shape[1]]
        while self._wanted:
            core = self._grid.tiles[self._wanted[0]].core
            if core[0].stop > self._whole_until[index]:
                break
            whole = slice(core[0].start - self._top, core[0].stop - self._top), core[1]
            yield self._wanted.popleft(), self._strip[whole]

    def _move_strip(self, window: slice) -> None:
        """Let the strip hold a window's rows, and none above the first core that is wanted."""
        first = min(window.start, self._grid.tiles[self._wanted[0]].core[0].start)
        stop = min(window.stop, self._grid.image_shape[0])
        self._strip = self._strip[max(first - self._top, 0) :]
        self._top = max(first, self._top)
        missing = stop - self._top - len(self._strip)
        if missing > 0:
            below = np.zeros((missing, *self._strip.shape[1:]), np.float32)
            self._strip = np.concatenate([self._strip, below])


def _overlapping(grid: BlendGrid, wanted: Iterable[int]) -> list[int]:
    """Tiles whose windows reach into the cores of others, in order."""
    rows = _meeting(grid.tiles[:: grid.columns], 0)
    columns = _meeting(grid.tiles[: grid.columns], 1)
    return sorted(
        {
            row * grid.columns + column
            for index in wanted
            for row in rows[index // grid.columns]
            for column in columns[index % grid.columns]
        }
    )


def _meeting(tiles: Sequence[Tile], axis: int) -> list[list[int]]:
    """For each core along an axis, the windows that reach into it."""
    return [
        [
            place
            for place, other in enumerate(tiles)
            if other.window[axis].start < tile.core[axis].stop
            and other.window[axis].stop > tile.core[axis].start
        ]
        for tile in tiles
    ]
