"""The only reader of images and masks; ``writing`` is the only writer.

Everything comes back as 8 bits, RGB or gray, as stored (EXIF orientation is not applied: a mask
beside the image would not follow it). What cannot be read whole is refused, never predicted.
"""

from functools import reduce
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from tiledseg.errors import ImageError, one_line
from tiledseg.images.headers import Header, kind_of, parse_header, strip_png
from tiledseg.images.ome_zarr import STORE_SUFFIX, is_store, read_store, read_store_header
from tiledseg.images.tiff import read_tiff, read_tiff_header, read_tiff_indices

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
READ_SUFFIXES = (*IMAGE_SUFFIXES, STORE_SUFFIX)
"""Those of files, and that of OME-Zarr stores, which are folders and are not written."""
MAX_PIXELS = 2**30
"""Largest picture that is decoded in one piece; OpenCV's own limit."""

_BYTE = 8
_SIXTEEN_TO_EIGHT = ((np.arange(2**16) + 128) // 257).astype(np.uint8)

# Faults come back as ImageError; OpenCV would also write its own lines on the terminal.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def list_images(folder: Path) -> list[Path]:
    """Images directly in a folder, sorted by name; hidden files and others are left out.

    Raises:
        ImageError: The folder does not exist or cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise _fault(
            folder, f"cannot be listed ({error.strerror})", "give a folder that holds images"
        ) from None
    return [path for path in entries if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a path is named as an image that is read, and is not hidden; it is not opened."""
    if path.name.startswith("."):
        return False
    return (path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()) or is_store(path)


def read_image(path: Path, channels: Literal[1, 3] = 3) -> NDArray[np.uint8]:
    """Read a JPEG, PNG, BMP, TIFF (first page) or OME-Zarr store (finest level).

    A TIFF is known by its content, since scanners write it under suffixes of their own.

    16-bit values are divided by 257 and rounded, alpha is dropped, and gray is converted to
    color or color to gray (ITU-R BT.601 luma) as ``channels`` asks.

    Args:
        path: The file.
        channels: 3 for RGB, 1 for gray.

    Returns:
        (H, W, channels), uint8.

    Raises:
        ImageError: The file is missing, truncated, damaged, too large, or of another kind.
    """
    pixels = _read_pixels(path)
    if channels == 1:
        gray = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        return np.asarray(gray)[..., np.newaxis]
    return np.asarray(pixels if pixels.ndim == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))


def read_mask(path: Path, threshold: int = 127) -> NDArray[np.bool_]:
    """Read a binary mask.

    Args:
        path: The file.
        threshold: On the 8-bit scale; a pixel is foreground where the brightest of its first
            three channels is above it.

    Returns:
        (H, W), bool.

    Raises:
        ImageError: As for ``read_image``.
    """
    return np.asarray(read_mask_brightness(path) > threshold)


def read_mask_brightness(path: Path) -> NDArray[np.uint8]:
    """The brightest of the first three channels of a mask, before any threshold.

    Returns:
        (H, W), uint8.

    Raises:
        ImageError: As for ``read_image``.
    """
    pixels = _read_pixels(path)
    return pixels if pixels.ndim == 2 else reduce(np.maximum, cv2.split(pixels))


def read_as_stored(path: Path) -> NDArray[Any]:
    """A file's own values, for masks whose values are names: labels, colors.

    Returns:
        (H, W) or (H, W, C), channels as RGB(A); the file's own dtype. A palette's indices are
        replaced by their colors.

    Raises:
        ImageError: The file is missing, truncated, damaged, too large, or of another kind.
    """
    header, data = _open(path)
    try:
        if header.kind == "zarr":
            return read_store(path)
        return read_tiff(path) if header.kind == "tiff" else _decode(data)
    except ValueError as error:
        raise _fault(path, str(error)) from None


def read_indices(path: Path) -> NDArray[Any]:
    """The indices of a PNG or TIFF with a palette, instead of the colors they stand for.

    Returns:
        (H, W), integers.

    Raises:
        ImageError: As for ``read_as_stored``, or the file's kind has no palettes.
    """
    header, data = _open(path)
    try:
        if header.kind == "tiff":
            return read_tiff_indices(path)
        if header.kind == "png" and header.palette:
            return _decode_indices(data)
    except ValueError as error:
        raise _fault(path, str(error)) from None
    raise _fault(path, f"is a {header.kind} without a palette that is read", "save it as PNG")


def unstretch(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """The numbers in a PNG of 1, 2 or 4 bits, which its reader stretches to 255."""
    return pixels if bits >= _BYTE else pixels // (255 // (2**bits - 1))


def read_header(path: Path) -> Header:
    """What a file holds: kind, size, channels, bits, palette, pages; nothing is decoded.

    Raises:
        ImageError: The file is missing, truncated, too large, or of another kind.
    """
    return _open(path)[0]


def image_shape(path: Path) -> tuple[int, int]:
    """Height and width, in pixels, from the file's header; nothing is decoded.

    Raises:
        ImageError: As for ``read_header``.
    """
    return read_header(path).shape


def to_8_bits(path: Path, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Values as stored, on the 8-bit scale: 16 bits are divided by 257 and rounded.

    Args:
        path: Where they come from, for the message.
        pixels: Any shape; uint8, uint16 or bool.

    Raises:
        ImageError: They are of another type.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return np.asarray(_SIXTEEN_TO_EIGHT[pixels])
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    raise _fault(path, f"holds {pixels.dtype} pixels", "save it with 8 or 16 bits per channel")


def drop_alpha(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray (H, W) or RGB (H, W, 3) of pixels that may have an alpha channel.

    Args:
        path: Where they come from, for the message.
        pixels: (H, W) or (H, W, 1 to 4).

    Raises:
        ImageError: There are more channels.
    """
    if pixels.ndim == 2:
        return pixels
    samples = pixels.shape[2]
    if samples > 4:
        raise _fault(path, f"holds {samples} channels", "save it as gray or RGB")
    return np.ascontiguousarray(pixels[..., 0] if samples < 3 else pixels[..., :3])


def _read_pixels(path: Path) -> NDArray[np.uint8]:
    """(H, W) gray or (H, W, 3) RGB, uint8."""
    return drop_alpha(path, to_8_bits(path, read_as_stored(path)))


def _read_bytes(path: Path) -> bytes:
    named = path.suffix.lower() in IMAGE_SUFFIXES
    try:
        with path.open("rb") as file:
            head = file.read(16)
            # A TIFF may be far larger than the page that is read from it, and scanners give it
            # suffixes of their own; other files whose names are strange are not read to the end.
            tiff = kind_of(head) == "tiff"
            file.seek(0)
            data = head if tiff or not named else file.read()
    except FileNotFoundError:
        raise _fault(path, "does not exist", "check the path") from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise _fault(path, reason, "check that it is a readable file") from None
    if not named and not tiff:
        raise _fault(
            path,
            f"has the suffix {path.suffix!r}, which is not read, and is no TIFF inside",
            f"use one of {', '.join(READ_SUFFIXES)}",
        )
    if not data:
        raise _fault(path, "is empty")
    return data


def _open(path: Path) -> tuple[Header, bytes]:
    """Header and content of a file that is whole and not too large.

    Of TIFF and OME-Zarr, which are not read to the end for it, the content is left out.
    """
    store = is_store(path)
    data = b"" if store else _read_bytes(path)
    try:
        if store:
            header = read_store_header(path)
        else:
            header = read_tiff_header(path) if kind_of(data) == "tiff" else parse_header(data)
    except ValueError as error:
        raise _fault(path, str(error)) from None
    if header.height * header.width > MAX_PIXELS:
        raise _fault(
            path,
            f"claims {header.width} x {header.height} pixels, more than {MAX_PIXELS} in all",
            "cut it into smaller images",
        )
    return header, data


def _decode(data: bytes) -> NDArray[Any]:
    """Decode JPEG, PNG or BMP bytes as RGB(A) or gray."""
    if kind_of(data[:16]) == "png":
        data = strip_png(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded ({error.err})") from None
    if pixels is None:
        raise ValueError("cannot be decoded; its content is damaged")
    if pixels.ndim == 3:
        code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB
        pixels = cv2.cvtColor(pixels, code)
    return np.asarray(pixels)


def _decode_indices(data: bytes) -> NDArray[np.uint8]:
    """Decode a PNG with a palette, leaving the palette out; OpenCV would put the colors in."""
    try:
        # The plugin itself, as in ``headers``.
        return np.array(PngImageFile(BytesIO(strip_png(data))))
    except Exception as error:  # noqa: BLE001 - SyntaxError, OSError, zlib.error... by the fault
        raise ValueError(f"cannot be decoded ({one_line(error)})") from None


def _fault(
    path: Path, fault: str, remedy: str = "copy or export it again, or remove it"
) -> ImageError:
    return ImageError(f"{path}: {fault}; {remedy}")
