"""Where pieces of an image lie. Pure geometry, no files.

Rows and columns are the same problem: one axis is solved, and the product taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.tiling.geometry.axis import cover_axis


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


def full_window(shape: tuple[int, int]) -> Window:
    """All of an image of that height and width."""
    return Window(0, 0, *shape)


def tile_windows(shape: tuple[int, int], tile: int, overlap: int) -> Iterator[Window]:
    """Tiles that cover an image, row by row.

    The last tile of an axis is moved back to end where the image ends, so that it shares more
    than ``overlap`` with its neighbor and no pixel is invented. An image that is smaller than
    a tile gives one tile of its own size.

    Args:
        shape: Height and width of the image, in pixels.
        tile: Side of a tile, in pixels.
        overlap: Pixels that neighbors share; less than ``tile``.
    """
    height, width = (min(tile, length) for length in shape)
    rows, columns = (cover_axis(length, tile, overlap, even=False) for length in shape)
    for top, left in product(rows, columns):
        yield Window(top, left, height, width)


def object_windows(mask: NDArray[Any], side: int) -> list[Window]:
    """A window around each object, from top to bottom; the same window only once.

    Objects are pixels that touch, corners included. The object is in the middle, but for windows
    that would leave the image: they are moved inside. A window is larger than ``side`` where the
    object is, and smaller where the image is.

    Args:
        mask: (H, W); anything but 0 is foreground.
        side: Height and width, in pixels.
    """
    found = cv2.connectedComponentsWithStats((mask != 0).astype(np.uint8), connectivity=8)
    boxes = found[2][1:, [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]]
    windows: dict[Window, None] = {}
    for top, left, height, width in sorted(boxes.tolist()):
        rows = _span(top, top + height, side, mask.shape[0])
        columns = _span(left, left + width, side, mask.shape[1])
        windows[Window(rows[0], columns[0], rows[1], columns[1])] = None
    return list(windows)


def _span(start: int, stop: int, side: int, length: int) -> tuple[int, int]:
    """Start and length of a window around start..stop, inside 0..length."""
    size = min(max(side, stop - start), length)
    middle = (start + stop - size) // 2
    return min(max(middle, 0), length - size), size
