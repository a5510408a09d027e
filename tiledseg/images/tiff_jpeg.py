"""JPEG pieces of TIFF files, decoded strictly.

libjpeg fills damage with gray or noise and only warns; tifffile's decoder does not hand its
warnings on. So one that does looks at each piece first, at its brightness alone.
"""

from collections.abc import Callable
from typing import Any

import simplejpeg
import tifffile

_TABLES_END, _PIECE_BEGIN = 2, 2
"""Bytes of the markers that end the tables, and begin a piece."""


def decode_strictly(page: Any) -> None:
    """Have a page refuse damaged JPEG pieces, of whatever reading.

    Args:
        page: tifffile's, the key frame of its series. One of another compression, or of more than
            8 bits, stays as it is.
    """
    if page.compression != tifffile.COMPRESSION.JPEG or page.dtype != "uint8":
        return
    decode: Callable[..., Any] = page.decode

    def check_and_decode(data: bytes | None, index: int, **options: Any) -> Any:
        if data:
            _refuse_damage(bytes(data), options.get("jpegtables"))
        return decode(data, index, **options)

    page.__dict__["decode"] = check_and_decode  # where tifffile keeps its own


def _refuse_damage(piece: bytes, tables: bytes | None) -> None:
    """Raise ValueError where libjpeg warns.

    Args:
        piece: A tile or strip.
        tables: What all pieces of the page share, a JPEG without a picture.
    """
    whole = tables[:-_TABLES_END] + piece[_PIECE_BEGIN:] if tables else piece
    simplejpeg.decode_jpeg(whole, "GRAY", fastdct=True, fastupsample=True)
