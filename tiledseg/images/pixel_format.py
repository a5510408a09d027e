"""How an image file stores its pixels: channels, bits, alpha, palette, pages.

The reader turns everything into 8-bit gray or RGB; what was lost on the way is seen here.
"""

from dataclasses import dataclass
from pathlib import Path

import tifffile

from tiledseg.errors import ImageError, one_line
from tiledseg.images.headers import JPEG_FRAMES, JPEG_MARKER, kind_of
from tiledseg.images.ome_zarr import is_store, read_dtype

_HEAD = 2**18
"""Bytes in which a JPEG's frame header is looked for; a thumbnail may stand before it."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


@dataclass(frozen=True)
class PixelFormat:
    """How an image file stores its pixels.

    Attributes:
        kind: ``jpeg``, ``png``, ``bmp``, ``tiff`` or ``zarr``.
        channels: Channels of a pixel, alpha included; those of its colors for a palette.
        bits: Bits of a channel.
        alpha: True where the last channel is alpha.
        palette: True where pixels are indices of colors.
        pages: Pages of a TIFF; 1 of others.
    """

    kind: str
    channels: int
    bits: int
    alpha: bool = False
    palette: bool = False
    pages: int = 1


def read_pixel_format(path: Path) -> PixelFormat:
    """Read a file's header; no pixel is decoded.

    Raises:
        ImageError: The file cannot be read, or is of another kind.
    """
    try:
        if is_store(path):
            channels, dtype = read_dtype(path)
            return PixelFormat("zarr", channels, 8 * dtype.itemsize, alpha=channels in (2, 4))
        with path.open("rb") as file:
            head = file.read(_HEAD)
        kind = kind_of(head[:16])
        if kind == "png":
            return _png_format(head)
        if kind == "jpeg":
            return _jpeg_format(head)
        if kind == "bmp":
            return _bmp_format(head)
        if kind == "tiff":
            return _tiff_format(path)
    except Exception as error:  # noqa: BLE001 - struct.error, IndexError, KeyError... by the fault
        raise ImageError(
            f"{path}: its header cannot be read ({one_line(error)}); copy or export it again, or "
            "remove it"
        ) from None
    raise ImageError(
        f"{path}: is not a JPEG, PNG, BMP or TIFF file inside; export it again, or remove it"
    )


def _png_format(head: bytes) -> PixelFormat:
    bits, color = head[24], head[25]
    palette = color == 3
    return PixelFormat(
        "png", _PNG_CHANNELS[color], 8 if palette else bits, alpha=color in (4, 6), palette=palette
    )


def _jpeg_format(head: bytes) -> PixelFormat:
    position = 2
    while match := JPEG_MARKER.search(head, position):
        marker, start = head[match.start(1)], match.end()
        if marker in JPEG_FRAMES:
            return PixelFormat("jpeg", head[start + 7], head[start + 2])
        position = start + int.from_bytes(head[start : start + 2], "big")
    return PixelFormat("jpeg", 3, 8)


def _bmp_format(head: bytes) -> PixelFormat:
    small = int.from_bytes(head[14:18], "little") == 12
    bits = int.from_bytes(head[24:26] if small else head[28:30], "little")
    if bits <= 8:
        return PixelFormat("bmp", 3, 8, palette=True)
    return PixelFormat("bmp", 4 if bits == 32 else 3, 8, alpha=bits == 32)


def _tiff_format(path: Path) -> PixelFormat:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        bits = page.bitspersample
        palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        return PixelFormat(
            "tiff",
            3 if palette else int(page.samplesperpixel),
            int(bits if isinstance(bits, int) else max(bits)),
            alpha=bool(page.extrasamples),
            palette=palette,
            pages=len(file.pages),
        )
