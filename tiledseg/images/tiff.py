"""TIFF files: the first page, as 8- or 16-bit gray or RGB.

tifffile reads plain pages; OpenCV's libtiff reads those that need a codec tifffile lacks
(LZW, JPEG) or another photometric (palette, YCbCr, white is zero).
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from tiledseg.errors import one_line
from tiledseg.images.headers import Header

# Faults come back as exceptions; the library would also write them on the terminal.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_PLAIN = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
_LAYOUTS = ("YX", "YXS", "SYX")


def open_tiff_file(path: Path) -> tifffile.TiffFile:
    """Open a TIFF, whatever its name.

    tifffile takes each .ndpi for Hamamatsu's layout, whose offsets have 64 bits; read so, a
    plain TIFF has no pages.

    Raises:
        ValueError: It is no TIFF.
        OSError: It cannot be opened.
    """
    file = tifffile.TiffFile(path)
    if path.suffix.lower() == ".ndpi" and len(file.pages) == 0:
        file.close()
        file = tifffile.TiffFile(path, is_ndpi=False)
    return file


def read_tiff_header(path: Path) -> Header:
    """What the first page holds, and how many pages there are; nothing is decoded.

    Raises:
        ValueError: The file is truncated or damaged; the message follows the file's name.
    """
    header: Header = _read_from(path, _header)
    return header


def read_tiff(path: Path) -> NDArray[Any]:
    """Decode the first page.

    Returns:
        (H, W) or (H, W, S), channels as RGB(A); the file's own dtype.

    Raises:
        ValueError: The file is truncated, damaged or of a layout that is not read; the
            message follows the file's name.
    """
    pixels: NDArray[Any] | None = _read_from(path, lambda file: _decode(file.pages[0]))
    return _decode_by_opencv(path) if pixels is None else pixels


def read_tiff_indices(path: Path) -> NDArray[Any]:
    """The first page's values, without the palette that gives them colors.

    Returns:
        (H, W), integers.

    Raises:
        ValueError: As for ``read_tiff``.
    """
    pixels: NDArray[Any] = _read_from(path, lambda file: np.asarray(file.pages[0].asarray()))
    return pixels


def _header(file: tifffile.TiffFile) -> Header:
    page: Any = file.pages[0]
    bits, palette = page.bitspersample, page.photometric == tifffile.PHOTOMETRIC.PALETTE
    return Header(
        "tiff",
        height=int(page.imagelength),
        width=int(page.imagewidth),
        channels=3 if palette else int(page.samplesperpixel),
        bits=int(bits if isinstance(bits, int) else max(bits)),
        alpha=bool(page.extrasamples),
        palette=palette,
        pages=len(file.pages),
    )


def _read_from(path: Path, read: Callable[[tifffile.TiffFile], Any]) -> Any:
    try:
        with open_tiff_file(path) as file:
            return read(file)
    except Exception as error:  # noqa: BLE001 - struct.error, zlib.error, KeyError... by the fault
        raise ValueError(f"is a truncated or damaged TIFF ({one_line(error)})") from None


def _decode(page: Any) -> NDArray[Any] | None:
    """The page's pixels, or None where OpenCV should try."""
    if page.photometric not in _PLAIN or page.axes not in _LAYOUTS:
        return None
    try:
        pixels = np.asarray(page.asarray())
    except ValueError as error:
        if "imagecodecs" in str(error):
            return None
        raise
    return np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels


def _decode_by_opencv(path: Path) -> NDArray[Any]:
    data = np.fromfile(path, dtype=np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ValueError("is a damaged TIFF, or one of a compression or layout that is not read")
    if pixels.ndim == 3:
        order = [2, 1, 0, 3][: pixels.shape[2]]
        pixels = pixels[..., order]
    return np.asarray(pixels)
