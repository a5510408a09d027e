"""Where the engine reads pixels from, and where it puts probabilities: one rectangle at a time."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Region = tuple[slice, slice]
"""Rows and columns, in pixels of the image; both ends given, none negative."""

Windows = NDArray[np.uint8]
"""Windows of an image that go through the network together, (B, h, w, C)."""

Probabilities = NDArray[np.float32]
"""What a network makes of windows, (B, h, w, K)."""

Values = NDArray[np.float32]
"""What it makes of a rectangle, (h, w, K)."""

Forward = Callable[[Windows], Probabilities]
"""One pass of a network over a batch."""


class WindowPass(Protocol):
    """One pass of a network over windows of a grid, of which parts are used."""

    def __call__(self, windows: Windows, indices: Sequence[int]) -> list[Values]:
        """Predict windows.

        Args:
            windows: Together in a batch.
            indices: Which tile of the grid each is of.

        Returns:
            Of each prediction the part that its tile's stitcher wants.

        Raises:
            TilingError: The network does not return its input's size.
        """
        ...


class RegionSource(Protocol):
    """An image that is read in rectangles, so that it need not fit into memory."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        ...

    def read(self, region: Region) -> NDArray[np.uint8]:
        """The pixels of a rectangle inside the image, (h, w, C) uint8.

        Raises:
            ImageError: The rectangle cannot be read.
        """
        ...


class RegionSink(Protocol):
    """A place for probabilities, given in rectangles that cover the image once, in any order."""

    def write(self, region: Region, values: NDArray[np.float32]) -> None:
        """Take the values (h, w, K) float32 of a rectangle.

        Raises:
            OutputError: They cannot be kept.
        """
        ...


class ArraySource:
    """An image in memory, (H, W, C) uint8."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._image = image

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        height, width, channels = self._image.shape
        return height, width, channels

    def read(self, region: Region) -> NDArray[np.uint8]:
        """A view of a rectangle."""
        return self._image[region]


class ArraySink:
    """Probabilities in memory."""

    def __init__(self, height: int, width: int, classes: int) -> None:
        self.values: NDArray[np.float32] = np.zeros((height, width, classes), np.float32)
        """(H, W, K)."""

    def write(self, region: Region, values: NDArray[np.float32]) -> None:
        """Copy a rectangle in."""
        self.values[region] = values
