"""Bytes of image files as pixels: JPEG strictly, and PNG, BMP, WebP, GIF and JPEG 2000.

TIFF and OME-Zarr are read from disk; see ``tiff`` and ``ome_zarr``.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import imagecodecs
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL.GifImagePlugin import GifImageFile
from PIL.PngImagePlugin import PngImageFile

from tiledseg.errors import one_line
from tiledseg.images.formats.gif import first_gif_frame
from tiledseg.images.formats.jpeg import last_jpeg_scan
from tiledseg.images.formats.png import strip_png
from tiledseg.images.headers import Header
from tiledseg.images.orientation import turn_upright

_BYTE = 8
_JPEG_TAIL = 2
"""Bytes at the end of a JPEG's data that hold pixels for certain, one of filling allowed."""
_JPEG_END = b"\xff\xd9"

# Faults come back as ValueError; OpenCV would also write its own lines on the terminal.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class EncodedImage:
    """A file in memory, of any kind but TIFF.

    Args:
        header: What ``parse_header`` found.
        data: The whole file.
    """

    pixel_size = None
    """Of no interest in these formats."""

    def __init__(self, header: Header, data: bytes) -> None:
        self.header = header
        self._data = data

    @property
    def stored_bytes(self) -> int:
        """Length of the file."""
        return len(self._data)

    def decode(self) -> NDArray[Any]:
        """Decode it, and turn it upright; PNG of fewer than 8 bits is stretched.

        Returns:
            (H, W) or (H, W, C), channels as RGB(A).

        Raises:
            ValueError: It is damaged; the message follows the file's name.
        """
        header = self.header
        try:
            pixels = _decode(header, self._data)
        except MemoryError:
            raise ValueError(
                f"takes {header.decoded_bytes / 1e9:.1f} GB of memory, which are not there; cut it "
                "into smaller images"
            ) from None
        pixels = turn_upright(pixels, header.orientation)
        if pixels.shape[:2] != header.shape:
            raise ValueError(
                f"is a damaged {_name(header)} (it claims {header.width} x {header.height} pixels "
                f"and holds {pixels.shape[1]} x {pixels.shape[0]})"
            )
        return pixels

    def decode_pages(self) -> list[NDArray[Any]]:
        """The picture, of several frames the first, as ``decode`` gives it."""
        return [self.decode()]

    def decode_indices(self) -> NDArray[np.uint8]:
        """Decode a PNG or GIF with a palette, leaving the palette out, (H, W).

        Raises:
            ValueError: It is damaged, or has no palette.
        """
        header = self.header
        if header.kind not in ("png", "gif") or not header.palette:
            raise ValueError(f"is a {header.kind} without a palette that is read; save it as PNG")
        try:
            # The plugin itself: ``Image.open`` refuses or warns of large images.
            if header.kind == "gif":
                indices = np.array(GifImageFile(BytesIO(first_gif_frame(self._data))))
            else:
                indices = np.array(PngImageFile(BytesIO(strip_png(self._data))))
        except Exception as error:  # noqa: BLE001 - SyntaxError, OSError, zlib.error... by the fault
            raise ValueError(f"cannot be decoded ({one_line(error)})") from None
        return turn_upright(indices, header.orientation)


def _decode(header: Header, data: bytes) -> NDArray[Any]:
    if header.kind in ("png", "bmp"):
        return _decode_by_opencv(strip_png(data) if header.kind == "png" else data)
    try:
        if header.kind == "jpeg":
            return _decode_jpeg(header, data)
        return np.asarray(_CODECS[header.kind](data))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - each codec has exceptions of its own
        raise ValueError(f"is a damaged {_name(header)} ({one_line(error)})") from None


def _name(header: Header) -> str:
    return header.kind.upper().replace("JPEG2000", "JPEG 2000")


def _decode_jpeg(header: Header, data: bytes) -> NDArray[np.uint8]:
    """Decode strictly: what libjpeg warns of, it has filled with gray or noise."""
    if header.bits != _BYTE:
        raise ValueError(f"{header.bits} bits are not read")
    space = "GRAY" if header.channels == 1 else "RGB"
    pixels = simplejpeg.decode_jpeg(data, space, fastdct=False, fastupsample=False)
    if not _needs_its_end(data):
        raise ValueError("its pixels are complete before their data end")
    return np.asarray(pixels[..., 0] if space == "GRAY" else pixels)


def _needs_its_end(data: bytes) -> bool:
    """Whether a JPEG cannot be decoded without its last bytes.

    Damage may be read as other pixels of fewer bits. libjpeg then has its picture before the data
    end, and does not look at the rest. What falls into step again before the end is not found.
    """
    begin, end = last_jpeg_scan(data)
    if end - begin <= 2 * _JPEG_TAIL:
        return True
    try:
        simplejpeg.decode_jpeg(data[: end - _JPEG_TAIL] + _JPEG_END, "GRAY")
    except ValueError:
        return True
    return False


def _decode_by_opencv(data: bytes) -> NDArray[Any]:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from None
        raise ValueError(f"cannot be decoded ({error.err})") from None
    if pixels is None:
        raise ValueError("cannot be decoded (its content is damaged)")
    if pixels.ndim == 3:
        code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB
        pixels = cv2.cvtColor(pixels, code)
    return np.asarray(pixels)


_CODECS: dict[str, Callable[[bytes], Any]] = {
    "webp": imagecodecs.webp_decode,
    "gif": lambda data: imagecodecs.gif_decode(first_gif_frame(data), index=0),
    "jpeg2000": imagecodecs.jpeg2k_decode,
}
