"""Pictures, on disk or in memory, that are written in rectangles and read in bands of rows."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import OutputError
from tiledseg.images.atomic import cannot_write
from tiledseg.tiling.geometry.regions import Region

BAND = 512
"""Rows that are handled at once when a picture is read from top to bottom."""


class Canvas:
    """A picture (H, W) in a file of its own, uncompressed; what is never written is 0.

    On most file systems, what is never written takes no room either.

    Args:
        path: The file; made if missing, else taken over as it is.
        height: Rows, in pixels.
        width: Columns, in pixels.
        dtype: Type of a pixel.

    Raises:
        OutputError: The file cannot be made.
    """

    def __init__(self, path: Path, height: int, width: int, dtype: Any = np.uint8) -> None:
        self.path, self.height, self.width = path, height, width
        self.dtype = np.dtype(dtype)
        try:
            self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
            self._file.truncate(height * width * self.dtype.itemsize)
        except OSError as error:
            raise cannot_write(path, error) from None

    def write(self, region: Region, values: NDArray[Any]) -> None:
        """Put values (h, w) of the canvas' type into a rectangle.

        Raises:
            OutputError: The disk is full, or fails.
        """
        rows, columns = region
        values = np.ascontiguousarray(values, self.dtype)
        try:
            if columns == slice(0, self.width):
                self._put(rows.start * self.width, values)
                return
            for row, line in zip(range(rows.start, rows.stop), values, strict=True):
                self._put(row * self.width + columns.start, line)
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """The rows from ``top`` to just above ``bottom``, (h, W)."""
        wanted = np.empty((bottom - top, self.width), self.dtype)
        view = memoryview(wanted.view(np.uint8).reshape(-1).data)
        self._file.seek(top * self.width * self.dtype.itemsize)
        got = 0
        while got < len(view):
            step = self._file.readinto(view[got:])
            if not step:
                raise OutputError(f"{self.path}: was cut short while it was in use; start again")
            got += step
        return wanted

    def bands(self, height: int = BAND) -> Iterator[NDArray[Any]]:
        """The rows from top to bottom, ``height`` at a time."""
        for top in range(0, self.height, height):
            yield self.rows(top, min(top + height, self.height))

    def sync(self) -> None:
        """Flush what was written to the disk, so that it survives a loss of power."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def _put(self, pixel: int, values: NDArray[Any]) -> None:
        self._file.seek(pixel * self.dtype.itemsize)
        view = memoryview(values.reshape(-1).view(np.uint8).data)
        while view:
            view = view[self._file.write(view) :]


class MemoryCanvas:
    """A picture (H, W) of a size that memory holds; what is never written is 0.

    Args:
        height: Rows, in pixels.
        width: Columns, in pixels.
        dtype: Type of a pixel.
    """

    def __init__(self, height: int, width: int, dtype: Any = np.uint8) -> None:
        self.height, self.width = height, width
        self._pixels = np.zeros((height, width), dtype)

    def write(self, region: Region, values: NDArray[Any]) -> None:
        """Put values (h, w) of the canvas' type into a rectangle."""
        self._pixels[region] = values

    def bands(self, height: int = BAND) -> Iterator[NDArray[Any]]:
        """Copies of the rows from top to bottom, so many at once."""
        for top in range(0, self.height, height):
            yield self._pixels[top : top + height].copy()

    def sync(self) -> None:
        """Do nothing: memory does not survive a loss of power."""

    def close(self) -> None:
        """Give the pixels back to memory."""
        self._pixels = np.empty((0, self.width), self._pixels.dtype)


AnyCanvas = Canvas | MemoryCanvas
