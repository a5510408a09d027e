"""Tiled and pyramidal TIFF, OME-TIFF and the scanners' formats built on it, at full resolution."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from tiledseg.errors import ImageError, one_line
from tiledseg.images.pixel_size import tiff_pixel_size
from tiledseg.images.sources import RegionSlide, fits_in_one_piece
from tiledseg.images.tiff import open_tiff_file, read_tiff_header

_PHOTOMETRICS = (
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.YCBCR,  # of JPEG, whose decoder makes RGB of it
)


def open_tiff(path: Path) -> RegionSlide | None:
    """Open the first image of a TIFF.

    Returns:
        None for small images that are not tiled: they are decoded whole, there is nothing to win.

    Raises:
        ImageError: The file is truncated or damaged, or of a layout that is not read.
    """
    try:
        height, width = read_tiff_header(path).shape
        file = open_tiff_file(path)
    except (ValueError, OSError) as error:
        raise ImageError(f"{path}: {error}; copy or export it again, or remove it") from None
    try:
        slide = _open_regions(path, file, fits_in_one_piece(height, width))
    except ImageError:
        file.close()
        raise
    except Exception as error:  # struct.error, KeyError, zarr's own... by the fault
        file.close()
        raise ImageError(
            f"{path}: is a damaged TIFF, or one of a layout that is not read "
            f"({one_line(error)}); export it again as a tiled TIFF"
        ) from error
    if slide is None:
        file.close()
    return slide


def _open_regions(path: Path, file: Any, is_small: bool) -> RegionSlide | None:
    series = file.series[0]
    page = series.keyframe
    _check_complete(path, series, file.filehandle.size)
    if is_small and not page.is_tiled:
        return None
    if page.photometric not in _PHOTOMETRICS:
        if is_small:
            return None
        raise ImageError(
            f"{path}: has colors of the kind {page.photometric.name}, which are not read from "
            "images of this size; export it as RGB or gray"
        )
    if series.dataoffset is not None:
        pixels: Any = _Mapped(path, series, file.byteorder)
    else:
        pixels = zarr.open_array(series.aszarr(level=0), mode="r")
    axes = series.axes.lower()
    inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    return RegionSlide(path, pixels, axes, tiff_pixel_size(file), inverted=inverted, opened=file)


class _Mapped:
    """Uncompressed pixels in one piece, any part of which can be read by itself.

    The file is mapped for each reading anew, so that what was read does not stay in memory.
    """

    def __init__(self, path: Path, series: Any, byteorder: str) -> None:
        self.shape: tuple[int, ...] = series.shape
        self.dtype = np.dtype(byteorder + series.dtype.char)
        self.chunks = (1,) * len(self.shape)
        self._path, self._offset = path, series.dataoffset

    def __getitem__(self, index: Any) -> NDArray[Any]:
        mapped = np.memmap(self._path, self.dtype, "r", self._offset, self.shape)
        return np.array(mapped[index])


def _check_complete(path: Path, series: Any, size: int) -> None:
    """Refuse a file that ends before its pixels do, or lists fewer pieces than it claims."""
    for page in series.pages:
        if page is None:
            continue
        offsets, counts = page.dataoffsets, page.databytecounts
        needed = math.prod(page.chunked)
        ends = max((o + c for o, c in zip(offsets, counts, strict=False)), default=0)
        short = min(len(offsets), len(counts)) < needed
        plain = page.compression == tifffile.COMPRESSION.NONE
        if short or ends > size or (plain and 0 not in counts and sum(counts) < page.nbytes):
            raise ImageError(
                f"{path}: claims {page.imagewidth} x {page.imagelength} pixels, but the file ends "
                "before them; it is truncated or damaged, copy or export it again"
            )
