"""Images on disk, read a rectangle at a time, as the 8-bit RGB that networks are shown."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import ImageError, one_line
from tiledseg.images.bit_depth import depth_of, to_8_bits
from tiledseg.images.limits import LARGEST_PIECE, MAX_PIXELS, require_piece
from tiledseg.images.pixel_size import PixelSize
from tiledseg.images.reading import (
    drop_alpha,
    read_picture,
    read_pixel_size,
)
from tiledseg.tiling.geometry.regions import Region


class Slide(Protocol):
    """An image that is read in rectangles; see ``tiling.geometry.regions.RegionSource``."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and 3."""
        ...

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel by the file's metadata; None where it has none."""
        ...

    @property
    def bits(self) -> int:
        """Bits of a value as stored, or ``image.bit_depth`` where it is set."""
        ...

    @property
    def largest(self) -> int:
        """Largest value as stored, of what has been read so far."""
        ...

    def read(self, region: Region) -> NDArray[np.uint8]:
        """The pixels of a rectangle inside the image, (h, w, 3) uint8 RGB."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class StoredPicture(Protocol):
    """A picture in a file, read a rectangle at a time as its pixels are stored."""

    shape: tuple[int, int]
    """Height and width of the picture as shown, in pixels."""
    bits: int
    """Bits of a value."""
    dtype: np.dtype[Any]

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel by the file's metadata; None where it has none."""
        ...

    @property
    def piece_bytes(self) -> int:
        """Bytes of a tile or strip of the file, decoded; each is decoded whole."""
        ...

    def require_channels(self) -> None:
        """Raise ValueError unless the picture is gray or RGB."""
        ...

    def read(self, region: Region) -> NDArray[Any]:
        """The values of a rectangle, (h, w) or (h, w, C)."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class RegionSlide:
    """An image at full resolution, whose tiles on disk are decoded when they are read.

    Args:
        path: The file, for messages.
        picture: Its pixels as they are stored.
        bit_depth: ``image.bit_depth``.

    Raises:
        ImageError: The image has channels, a type or tiles that are not read.
    """

    def __init__(self, path: Path, picture: StoredPicture, bit_depth: int | None = None) -> None:
        self.path = path
        self._picture = picture
        self.bits = depth_of(picture.dtype, picture.bits, bit_depth)
        self.largest = 0
        self._check()
        self.shape: tuple[int, int, int] = (*picture.shape, 3)

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel by the file's metadata; None where it has none."""
        return self._picture.pixel_size

    def read(self, region: Region) -> NDArray[np.uint8]:
        """The pixels of a rectangle inside the image, (h, w, 3) uint8 RGB.

        Raises:
            ImageError: A tile of the file is damaged.
        """
        try:
            stored = self._picture.read(region)
        except Exception as error:  # each codec has exceptions of its own
            rows, columns = region
            raise ImageError(
                f"{self.path}: cannot be decoded near row {rows.start}, column {columns.start} "
                f"({one_line(error)}); copy or export it again"
            ) from error
        pixels = drop_alpha(self.path, stored)
        self.largest = max(self.largest, int(pixels.max(initial=0)))
        shown = to_8_bits(self.path, pixels, self.bits)
        return shown if shown.ndim == 3 else np.repeat(shown[..., np.newaxis], 3, axis=2)

    def close(self) -> None:
        """Close the file."""
        self._picture.close()

    def _check(self) -> None:
        try:
            self._picture.require_channels()
            require_piece(self._picture.piece_bytes)
        except ValueError as error:
            raise ImageError(f"{self.path}: {error}") from None
        if 0 in self._picture.shape:
            raise ImageError(f"{self.path}: has no pixels; remove it")
        to_8_bits(self.path, np.zeros(0, self._picture.dtype.newbyteorder("=")), self.bits)


class DecodedSlide:
    """An image decoded whole into memory, for formats without tiles.

    Args:
        path: The file.
        bit_depth: ``image.bit_depth``.

    Raises:
        ImageError: It cannot be read.
    """

    def __init__(self, path: Path, bit_depth: int | None = None) -> None:
        picture = read_picture(path, bit_depth)
        self._image = picture.as_rgb()
        self.bits, self.largest = picture.bits, picture.largest
        self.pixel_size = read_pixel_size(path)
        self.shape: tuple[int, int, int] = (*self._image.shape[:2], 3)

    def read(self, region: Region) -> NDArray[np.uint8]:
        """The pixels of a rectangle inside the image, (h, w, 3) uint8 RGB."""
        return self._image[region]

    def close(self) -> None:
        """Do nothing: the image is in memory."""


def fits_in_one_piece(height: int, width: int) -> bool:
    """Whether an image, 3 bytes a pixel, is small enough to be held whole."""
    return height * width * 3 <= min(LARGEST_PIECE, MAX_PIXELS)
