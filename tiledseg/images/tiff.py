"""TIFF files: the largest picture of a file, whole or a rectangle at a time.

tifffile reads the layout, imagecodecs the pixels. Whoever wants pixels of a TIFF gets them from
``TiffPicture``, so that a picture is the same whole and in parts:

    stored samples -> palette, white is zero, YCbCr, CMYK -> turned as its orientation says

A file may begin with a thumbnail, and a pyramid's levels may stand in any order: the picture is
the one with most pixels, the first of equals.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from tiledseg.errors import one_line
from tiledseg.images.headers import Header
from tiledseg.images.limits import SMALL, LimitError, require_piece
from tiledseg.images.orientation import (
    ORIENTATION_TAG,
    sound_orientation,
    stored_region,
    turn_upright,
    upright_shape,
)
from tiledseg.images.pixel_size import PixelSize, tiff_pixel_size
from tiledseg.images.tiff_colors import LayoutError, TiffColors
from tiledseg.images.tiff_file import open_tiff_file
from tiledseg.images.tiff_pieces import check_pieces, piece_bytes
from tiledseg.tiling.geometry.regions import Region

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_SAMPLES, _PLANES = (1, 2, 3, 4), (1, 3)
"""Accepted counts. Samples of a pixel may be gray and alpha; planes of an image are not: TIFF
calls alpha by name, and a fourth plane is another stain."""
_MOST_MISSING, _FEW_PIECES = 1000, 4096
"""Tiles for each that is there, and how many may all be missing but one: sparse files leave out
those that are empty."""


class TiffPicture:
    """The largest picture of a TIFF; a context manager that closes the file.

    Args:
        path: The file, whatever its name.

    Raises:
        ValueError: It is truncated, damaged, or of a layout that is not read; the message
            follows the file's name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _told_as_damage():
            self._file = open_tiff_file(path)
        try:
            with _told_as_damage():
                self._find_layout()
        except LayoutError:
            self.close()
            raise

    def _find_layout(self) -> None:
        self._series = _largest_series(self._file)
        page: Any = self._series.keyframe
        check_pieces(page)
        self._page, self._photometric = page, page.photometric
        self.orientation = sound_orientation(page.tags.valueof(ORIENTATION_TAG))
        self.axes = str(self._series.axes).lower()
        sizes = dict(zip(self.axes, self._series.shape, strict=True))
        self._sides = int(sizes["y"]), int(sizes["x"])
        if min(self._sides) < 1:
            raise LayoutError(f"claims an empty picture of {sizes['x']} x {sizes['y']} pixels")
        self.shape: tuple[int, int] = upright_shape(*self._sides, self.orientation)
        self.planes = math.prod(size for axis, size in sizes.items() if axis not in "yxsc")
        self._color_planes = int(sizes.get("c", 1))
        self.samples = int(sizes.get("s", 1))
        bits = page.bitspersample
        self.bits = int(bits if isinstance(bits, int) else max(bits))
        if page.dtype is None:
            raise LayoutError(f"has samples of {self.bits} bits, which are not read")
        self.dtype = np.dtype(page.dtype)
        self.is_tiled = bool(page.is_tiled)
        self._colors = TiffColors(page, self.bits, self.samples)

    @property
    def header(self) -> Header:
        """What the file holds, without a look at its pixels.

        Raises:
            ValueError: Its other pages are damaged.
        """
        with _told_as_damage():
            return self._describe()

    def _describe(self) -> Header:
        height, width = self.shape
        apart = 1 if self._color_planes in _PLANES else self._color_planes
        palette = self._photometric == _PHOTOMETRIC.PALETTE
        is_plain = palette or self.dtype in (np.uint8, np.uint16)
        return Header(
            "tiff",
            height=height,
            width=width,
            channels=3 if palette else self.samples * self._color_planes,
            bits=8 if palette else self.bits,
            alpha=self.samples in (2, 4) and self._photometric != _PHOTOMETRIC.SEPARATED,
            palette=palette,
            pages=self.planes * apart + self._others,
            orientation=self.orientation,
            type="" if is_plain else self.dtype.name,
        )

    @property
    def _others(self) -> int:
        """Pictures beside this one, thumbnails and overviews left out."""
        return sum(
            min(own / size for own, size in zip(self._sides, _sides(series), strict=True)) < 2
            for series in self._file.series
            if series is not self._series and "Y" in series.axes and "X" in series.axes
        )

    @property
    def pixel_size(self) -> PixelSize | None:
        """Size of a pixel of the picture as shown; None where the file does not say."""
        try:
            size = tiff_pixel_size(self._file, self._page)
        except Exception:  # noqa: BLE001 - metadata of any kind, which say nothing then
            return None
        if size is None or self.orientation < 5:
            return size
        return PixelSize(size.width, size.height)

    @property
    def piece_bytes(self) -> int:
        """Bytes of a tile or strip of the file, decoded; each is decoded whole."""
        if self._series.dataoffset is not None:
            return int(self.dtype.itemsize)
        return piece_bytes(self._page)

    def require_channels(self) -> None:
        """Raise ValueError unless the picture is gray or RGB, in a type of color that is read."""
        for count, accepted in ((self.samples, _SAMPLES), (self._color_planes, _PLANES)):
            if count not in accepted:
                raise LayoutError(f"holds {count} channels; save it as gray or RGB")
        self._colors.require_known()

    def require_complete(self) -> None:
        """Raise ValueError where the file ends before its pixels do, or lists too few pieces."""
        size = self._file.filehandle.size
        for page in self._series.pages:
            if page is None:
                continue
            offsets, counts = page.dataoffsets, page.databytecounts
            ends = max((o + c for o, c in zip(offsets, counts, strict=False)), default=0)
            short = min(len(offsets), len(counts)) < math.prod(page.chunked)
            if short or ends > size or (0 not in counts and sum(counts) < _least_bytes(self._page)):
                raise LayoutError(
                    f"is a truncated or damaged TIFF (it claims {page.imagewidth} x "
                    f"{page.imagelength} pixels, and ends before them)"
                )

    def require_substance(self) -> None:
        """Raise ValueError where the file is cut, or next to nothing of its picture is there."""
        self.require_complete()
        size = self.header.decoded_bytes
        if self.piece_bytes > size:  # what lies beyond it is decoded, too
            require_piece(self.piece_bytes)
        claimed = math.prod(self._page.chunked)
        for page in self._series.pages:
            there = 0 if page is None else sum(count > 0 for count in page.databytecounts)
            none_there = not there and size > SMALL
            if none_there or claimed > max(_FEW_PIECES, _MOST_MISSING * there):
                raise LayoutError(
                    f"claims {claimed} tiles or strips and holds {there}; copy it again, whole"
                )

    def read(self, region: Region | None = None, plane: int = 0) -> NDArray[Any]:
        """Read a rectangle, or everything.

        Args:
            region: In the picture as shown; None for all of it.
            plane: Of ``planes``, in the order of the file.

        Returns:
            (h, w), or (h, w, C) as RGB(A) or planes; the file's own numbers and type, but 8
            bits for the colors of a palette.

        Raises:
            ValueError: A piece of the file is damaged, or its colors are of a kind that is not
                read.
        """
        self._colors.require_known()
        return self._turn(self._colors.show(self._read_stored(region, plane)))

    def decode(self) -> NDArray[Any]:
        """Decode the picture whole; of several pages the first, (H, W) or (H, W, C).

        Raises:
            ValueError: The file is truncated, damaged or of a layout that is not read.
        """
        with _told_as_damage():
            self.require_substance()
            self.require_channels()
            return self.read()

    def decode_pages(self) -> list[NDArray[Any]]:
        """Decode all pages of one size, planes of a channel axis that are no RGB one by one.

        Raises:
            ValueError: As for ``decode``.
        """
        with _told_as_damage():
            if self.header.pages == 1:
                return [self.decode()]
            self.require_substance()
            pages = [self.read(plane=plane) for plane in range(self.planes)]
            if self._color_planes in _PLANES:
                return pages
            planes = (plane for page in pages for plane in np.moveaxis(page, 2, 0))
            return [np.ascontiguousarray(plane) for plane in planes]

    def decode_indices(self) -> NDArray[Any]:
        """Decode the numbers as stored, without the palette that gives them colors, (H, W).

        Raises:
            ValueError: As for ``decode``.
        """
        with _told_as_damage():
            self.require_substance()
            return self._turn(self._read_stored(None, 0))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "TiffPicture":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_stored(self, region: Region | None, plane: int) -> NDArray[Any]:
        """Samples as (h, w) or (h, w, C), not turned."""
        if region is None:
            rows, columns = (slice(0, side) for side in self._sides)
        else:
            rows, columns = stored_region(region, *self.shape, self.orientation)
        others = [axis for axis in self.axes if axis not in "yxsc"]
        counts = [self._series.shape[self.axes.index(axis)] for axis in others]
        places: dict[str, Any] = {"y": rows, "x": columns, "s": slice(None), "c": slice(None)}
        places |= dict(zip(others, np.unravel_index(plane, counts or (1,)), strict=False))
        index = tuple(
            place if isinstance(place, slice) else int(place)
            for place in (places[axis] for axis in self.axes)
        )
        with _told_as_damage():
            # All pieces of a page at once are decoded in parallel, and without zarr's overhead. Of
            # Hamamatsu's files tifffile would decode one strip whose header was not looked at.
            alone = region is None and self.axes == self._page.axes.lower()
            at_once = alone and self._page.jpegheader is None
            stored = np.asarray(self._page.asarray() if at_once else self._pixels[index])
        left = [axis for axis in self.axes if axis in "yxsc"]
        order = [left.index(axis) for axis in "yxsc" if axis in left]
        stored = stored.transpose(order).astype(stored.dtype.newbyteorder("="), copy=False)
        return stored.reshape(*stored.shape[:2], -1) if stored.ndim > 2 else stored

    @property
    def _pixels(self) -> Any:
        if not hasattr(self, "_opened"):
            self._opened: Any = (
                _Mapped(self.path, self._series, self._file.byteorder)
                if self._series.dataoffset is not None
                else zarr.open_array(self._series.aszarr(level=0), mode="r")
            )
        return self._opened

    def _turn(self, pixels: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(turn_upright(pixels, self.orientation))


class _Mapped:
    """Uncompressed pixels in one piece, any part of which can be read by itself.

    The file is mapped for each reading anew, so that what was read does not stay in memory.
    """

    def __init__(self, path: Path, series: Any, byteorder: str) -> None:
        self._shape = series.shape
        self._dtype = np.dtype(byteorder + series.dtype.char)
        self._path, self._offset = path, series.dataoffset

    def __getitem__(self, index: Any) -> NDArray[Any]:
        mapped = np.memmap(self._path, self._dtype, "r", self._offset, self._shape)
        return np.array(mapped[index])


@contextmanager
def _told_as_damage() -> Iterator[None]:
    """Tell what tifffile and the codecs raise, struct.error, KeyError and others by the fault."""
    try:
        yield
    except (LayoutError, LimitError):
        raise
    except NotImplementedError as error:
        raise LayoutError(f"is a TIFF of a layout that is not read ({one_line(error)})") from None
    except MemoryError:
        raise LayoutError("takes more memory than is there; save it in tiles") from None
    except Exception as error:  # noqa: BLE001 - see above
        raise LayoutError(f"is a truncated or damaged TIFF ({one_line(error)})") from None


def _least_bytes(page: Any) -> int:
    """Bytes that the pieces of a page hold at least; 0 where that depends on the pixels."""
    if page.compression != tifffile.COMPRESSION.NONE or page.is_subsampled:
        return 0
    samples = page.samplesperpixel
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    apart, together = (samples, 1) if page.planarconfig == 2 else (1, samples)
    row = -(-page.imagewidth * together * bits // 8)
    return int(apart * page.imagelength * row)


def _sides(series: Any) -> tuple[int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return int(sizes["Y"]), int(sizes["X"])


def _largest_series(file: tifffile.TiffFile) -> Any:
    """The series of pages, or the level of one, with most pixels."""
    found = [
        level
        for series in file.series
        for level in series.levels
        if "Y" in level.axes and "X" in level.axes
    ]
    if not found:
        raise LayoutError("is a TIFF without a picture of rows and columns")
    return max(found, key=lambda series: math.prod(_sides(series)))
