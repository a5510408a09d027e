"""Images on disk, read a rectangle at a time, as the 8-bit RGB that networks are shown."""

import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import ImageError, one_line
from tiledseg.images.pixel_size import PixelSize
from tiledseg.images.reading import MAX_PIXELS, drop_alpha, read_image, to_8_bits
from tiledseg.tiling.geometry.regions import Region

LARGEST_PIECE = 2**28
"""Bytes that a file's own tile or strip may take, decoded; each is decoded whole."""
_CHANNELS = {"s": (1, 2, 3, 4), "c": (1, 3, 4)}
"""Accepted counts: samples of a pixel may be gray and alpha, channels of an image are not."""


class Slide(Protocol):
    """An image that is read in rectangles; see ``tiling.regions.RegionSource``."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and 3."""
        ...

    @property
    def pixel_size(self) -> PixelSize | None:
        """As the file says it, or None where it does not."""
        ...

    def read(self, region: Region) -> NDArray[np.uint8]:
        """The pixels of a rectangle inside the image, (h, w, 3) uint8 RGB."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class RegionSlide:
    """The full resolution of a file whose tiles are decoded as they are needed.

    Args:
        path: The file, for messages.
        pixels: A zarr.Array, whatever the file's format.
        axes: A letter per axis: y, x, s (samples), c (channels); others are read at 0.
        pixel_size: As the file says it.
        inverted: Whether 0 is white.
        opened: What is closed in the end.

    Raises:
        ImageError: The image has channels, a type or tiles that are not read.
    """

    def __init__(
        self,
        path: Path,
        pixels: Any,
        axes: str,
        pixel_size: PixelSize | None,
        *,
        inverted: bool = False,
        opened: Any = None,
    ) -> None:
        self.path = path
        self.pixel_size = pixel_size
        self._pixels, self._axes = pixels, axes
        self._inverted, self._opened = inverted, opened
        sizes = dict(zip(axes, pixels.shape, strict=True))
        self._check(sizes)
        self.shape = (int(sizes["y"]), int(sizes["x"]), 3)

    def read(self, region: Region) -> NDArray[np.uint8]:
        """The pixels of a rectangle inside the image, (h, w, 3) uint8 RGB.

        Raises:
            ImageError: A tile of the file is damaged.
        """
        places: dict[str, Any] = dict(zip("yx", region, strict=True))
        index = tuple(places.get(axis, slice(None) if axis in "sc" else 0) for axis in self._axes)
        try:
            stored = np.asarray(self._pixels[index])
            stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
        except Exception as error:  # each codec has exceptions of its own
            rows, columns = region
            raise ImageError(
                f"{self.path}: cannot be decoded near row {rows.start}, column {columns.start} "
                f"({one_line(error)}); copy or export it again"
            ) from error
        left = [axis for axis in self._axes if axis in "yxsc"]
        order = [left.index(axis) for axis in "yxsc" if axis in left]
        shown = drop_alpha(self.path, to_8_bits(self.path, stored.transpose(order)))
        if self._inverted:
            shown = np.invert(shown)
        return shown if shown.ndim == 3 else np.repeat(shown[..., np.newaxis], 3, axis=2)

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()

    def _check(self, sizes: dict[str, int]) -> None:
        for axis, accepted in _CHANNELS.items():
            if sizes.get(axis, 1) not in accepted:
                raise ImageError(
                    f"{self.path}: holds {sizes[axis]} channels; save it as gray or RGB"
                )
        if 0 in self._pixels.shape:
            raise ImageError(f"{self.path}: has no pixels; remove it")
        to_8_bits(self.path, np.zeros(0, self._pixels.dtype.newbyteorder("=")))
        piece = math.prod(self._pixels.chunks) * self._pixels.dtype.itemsize
        if piece > LARGEST_PIECE:
            raise ImageError(
                f"{self.path}: is stored in pieces of {piece / 1e6:.0f} MB, which would each be "
                f"decoded whole; save it in tiles of at most {LARGEST_PIECE / 1e6:.0f} MB, "
                "512 x 512 pixels for example"
            )


class DecodedSlide:
    """An image of a format that is only read whole, in memory.

    Args:
        path: The file.

    Raises:
        ImageError: It cannot be read.
    """

    pixel_size = None

    def __init__(self, path: Path) -> None:
        self._image = read_image(path)
        self.shape: tuple[int, int, int] = (*self._image.shape[:2], 3)

    def read(self, region: Region) -> NDArray[np.uint8]:
        """The pixels of a rectangle inside the image, (h, w, 3) uint8 RGB."""
        return self._image[region]

    def close(self) -> None:
        """Nothing to close."""


def fits_in_one_piece(height: int, width: int) -> bool:
    """Whether an image, 3 bytes a pixel, is small enough to be held whole."""
    return height * width * 3 <= min(LARGEST_PIECE, MAX_PIXELS)
