"""From predictions of tiles to one prediction of the image."""

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import TilingError
from tiledseg.tiling.grid import Tile


class CropStitcher:
    """Keeps the core of every tile; overlaps are computed twice and used once.

    Args:
        height: Rows of the image, in pixels.
        width: Columns of the image, in pixels.
        classes: Channels of a prediction.
    """

    def __init__(self, height: int, width: int, classes: int) -> None:
        self._values = np.zeros((height, width, classes), np.float32)
        self._covered = np.zeros((height, width), np.bool_)
        self._broken: tuple[int, int] | None = None

    def add(self, tile: Tile, prediction: NDArray[np.floating]) -> None:
        """Take the core of one tile's prediction.

        Args:
            tile: Where the prediction belongs.
            prediction: Float array (window height, window width, classes).

        Raises:
            TilingError: If the prediction's shape is not the window's.
        """
        rows, columns = tile.window
        expected = (rows.stop - rows.start, columns.stop - columns.start, self._values.shape[2])
        if prediction.shape != expected:
            raise TilingError(
                f"the prediction of the tile at row {rows.start}, column {columns.start} has shape "
                f"{prediction.shape} instead of {expected}; the model must return its input's size"
            )
        core = prediction[tile.core_in_window]
        self._values[tile.core] = core
        self._covered[tile.core] = True
        self._look_for_non_finite(tile, core)

    def result(self) -> NDArray[np.float32]:
        """The whole prediction.

        Returns:
            Float32 array (height, width, classes).

        Raises:
            TilingError: If a tile was not added, or one held NaN or infinity.
        """
        if self._broken is not None:
            row, column = self._broken
            raise TilingError(
                f"the prediction is not a finite number at row {row}, column {column} of the "
                "image; look for NaN in the model's weights"
            )
        if not self._covered.all():
            row, column = np.argwhere(~self._covered)[0]
            raise TilingError(
                f"no tile was added for row {row}, column {column} of the image; "
                "add every tile of the grid before asking for the result"
            )
        return self._values

    def _look_for_non_finite(self, tile: Tile, core: NDArray[np.floating]) -> None:
        finite = np.isfinite(core)
        if self._broken is None and not finite.all():
            row, column, _ = np.argwhere(~finite)[0]
            self._broken = (int(tile.core[0].start + row), int(tile.core[1].start + column))
