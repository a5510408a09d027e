"""From predictions of windows to the cores of an image."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.grid import Grid

Values = NDArray[np.float32]


class CropStitcher:
    """Keeps the core of every window; overlaps are computed twice and used once.

    Args:
        grid: The tiles.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def needed(self, finished: frozenset[int]) -> list[int]:
        """Tiles to compute when the cores of some are there, in order."""
        return [index for index in range(len(self._grid.tiles)) if index not in finished]

    def add(self, index: int, prediction: Values) -> Iterator[tuple[int, Values]]:
        """Take the prediction of one window.

        Args:
            index: Its tile in the grid.
            prediction: (window height, window width, K).

        Returns:
            Tiles whose cores are complete now, with their values.

        Raises:
            TilingError: The prediction's shape is not the window's.
        """
        tile = self._grid.tiles[index]
        check_window(self._grid, index, prediction)
        yield index, prediction[tile.core_in_window]


def check_window(grid: Grid, index: int, prediction: Values) -> None:
    """Refuse a prediction that is not of its window's size."""
    if prediction.shape[:2] != grid.tile_shape:
        rows, columns = grid.tiles[index].window
        raise TilingError(
            f"the prediction of the tile at row {rows.start}, column {columns.start} has shape "
            f"{prediction.shape} instead of {(*grid.tile_shape, prediction.shape[-1])}; the model "
            "must return its input's size"
        )
