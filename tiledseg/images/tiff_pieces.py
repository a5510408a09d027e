"""Tiles and strips of TIFF files: what each holds is looked at before it is decoded.

Deflate, LZW, Zstandard and the like are unpacked by tifffile into a buffer of the piece's size. A
piece that is a JPEG, a JPEG 2000 or a WebP has a header of its own, which its decoder obeys.

libjpeg fills damage with gray or noise and only warns; tifffile's decoder does not hand its
warnings on. So one that does looks at each JPEG first, at its brightness alone.
"""

import math
from collections.abc import Callable
from typing import Any

import simplejpeg
import tifffile

from tiledseg.images.formats.jpeg import read_jpeg_frame, require_tables
from tiledseg.images.formats.jpeg2000 import read_jpeg_2000_frame
from tiledseg.images.formats.webp import parse_webp
from tiledseg.images.headers import Header
from tiledseg.images.tiff_colors import LayoutError

_KINDS = tifffile.COMPRESSION
_PACKED = frozenset({
    _KINDS.NONE, _KINDS.CCITTRLE, _KINDS.CCITTFAX3, _KINDS.CCITTFAX4, _KINDS.LZW,
    _KINDS.ADOBE_DEFLATE, _KINDS.DEFLATE, _KINDS.PACKBITS, _KINDS.LZMA, _KINDS.ZSTD,
    _KINDS.ZSTD_DEPRECATED,
})  # fmt: skip
_JPEG = frozenset({_KINDS.OJPEG, _KINDS.JPEG, _KINDS.ALT_JPEG, _KINDS.JPEG_LOSSY})
_JPEG_2000 = frozenset({
    _KINDS.APERIO_JP2000_YCBC, _KINDS.JPEG_2000_LOSSY, _KINDS.APERIO_JP2000_RGB, _KINDS.JPEG2000,
})  # fmt: skip
_WEBP = frozenset({_KINDS.WEBP, _KINDS.WEBP_DEPRECATED})
_MOST_CHANNELS = 4
_TABLES_END, _PIECE_BEGIN = 2, 2
"""Bytes of the markers that end the tables, and begin a piece."""


def check_pieces(page: Any) -> None:
    """Have a page refuse pieces that are larger than it says, and damaged JPEGs.

    Args:
        page: tifffile's, the key frame of its series.

    Raises:
        LayoutError: Its pieces are packed in a way that is not read.
    """
    kind = page.compression
    if kind in _PACKED:
        return
    if kind in _JPEG:
        read_header: Callable[..., Header] = _read_jpeg
    elif kind in _JPEG_2000:
        read_header = _read_jpeg_2000
    elif kind in _WEBP:
        read_header = _read_webp
    else:
        raise LayoutError(
            f"is packed by {getattr(kind, 'name', kind)}, which is not read; export it with "
            "deflate or JPEG"
        )
    decode: Callable[..., Any] = page.decode
    height, width = _piece_shape(page)
    is_strict = kind == _KINDS.JPEG and page.dtype == "uint8"

    def check_and_decode(data: bytes | None, index: int, **options: Any) -> Any:
        if data:
            piece = bytes(data)
            header = read_header(piece, **options)
            if header.height * header.width > height * width or header.channels > _MOST_CHANNELS:
                raise ValueError(
                    f"piece {index} holds {header.width} x {header.height} x {header.channels} "
                    f"values, and should hold {width} x {height}"
                )
            if is_strict and not options.get("jpegheader"):
                _refuse_damage(piece, options.get("jpegtables"))
        return decode(data, index, **options)

    page.__dict__["decode"] = check_and_decode  # where tifffile keeps its own


def piece_bytes(page: Any) -> int:
    """Bytes of a tile or strip, decoded; each is decoded whole."""
    return int(math.prod(page.chunks) * page.dtype.itemsize)


def _piece_shape(page: Any) -> tuple[int, int]:
    """Rows and columns of a tile or strip."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return int(page.rowsperstrip), int(page.imagewidth)


def _read_jpeg(
    piece: bytes,
    *,
    jpegtables: bytes | None = None,
    jpegheader: bytes | None = None,
    **_: Any,
) -> Header:
    """The header of a JPEG, which Hamamatsu's files have once for all pieces.

    Args:
        piece: A tile or strip.
        jpegtables: What all pieces of the page share: a JPEG without a picture.
        jpegheader: What is put before each piece.
    """
    if jpegtables:
        require_tables(jpegtables)
    return read_jpeg_frame(jpegheader or piece)


def _read_jpeg_2000(piece: bytes, **_: Any) -> Header:
    return read_jpeg_2000_frame(piece)


def _read_webp(piece: bytes, **_: Any) -> Header:
    return parse_webp(piece)


def _refuse_damage(piece: bytes, tables: bytes | None) -> None:
    """Raise ValueError where libjpeg warns.

    Args:
        piece: A tile or strip.
        tables: What all pieces of the page share, a JPEG without a picture.
    """
    whole = tables[:-_TABLES_END] + piece[_PIECE_BEGIN:] if tables else piece
    simplejpeg.decode_jpeg(whole, "GRAY", fastdct=True, fastupsample=True)
