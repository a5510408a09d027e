"""JPEG 2000 (ITU-T T.800), as a codestream or in the boxes of JP2.

The codestream says what is decoded; the box beside it, which Pillow believes, has only to agree.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tiledseg.images.formats.numbers import big
from tiledseg.images.headers import JPEG_2000_CODESTREAM, Header

_MOST_BOXES = 10_000
_MOST_TILES = 2**14
"""Each takes kilobytes before anything is decoded; a picture of 2**30 pixels has as many of 256."""


@dataclass(frozen=True)
class _Size:
    height: int
    width: int
    channels: int
    bits: int


def parse_jpeg_2000(data: bytes) -> Header:
    """Read the header.

    Raises:
        ValueError: The file is truncated or damaged; the message follows its name.
        IndexError: It is truncated.
    """
    if not data.endswith(b"\xff\xd9"):
        raise ValueError("is a truncated JPEG 2000 (its end marker is missing)")
    if data.startswith(JPEG_2000_CODESTREAM):
        size, columns = _read_size(data, 0), 0
    else:
        size, columns = _read_boxes(data)
    # A palette makes several channels of one.
    channels = max(size.channels, columns)
    return Header(
        "jpeg2000",
        height=size.height,
        width=size.width,
        channels=channels,
        bits=size.bits,
        alpha=channels in (2, 4),
    )


def _read_boxes(data: bytes) -> tuple[_Size, int]:
    """The size of the one codestream, and the columns of a palette or 0."""
    claimed: tuple[int, int] | None = None
    columns = 0
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"jp2h":
            for inner, place, _ in _boxes(data, start, end):
                if inner == b"ihdr":
                    claimed = big(data, place, 4), big(data, place + 4, 4)
                elif inner in (b"pclr", b"cmap"):
                    columns = max(columns, _read_columns(data, inner, place, _))
        if name == b"jp2c":
            size = _read_size(data, start)
            if claimed != (size.height, size.width):
                raise ValueError("is a damaged JPEG 2000 (its headers claim different sizes)")
            return size, columns
    raise ValueError("is a damaged JPEG 2000 (it has no picture)")


def _read_columns(data: bytes, name: bytes, start: int, end: int) -> int:
    """Channels that a palette, or the map that applies it, makes."""
    return data[start + 2] if name == b"pclr" else (end - start) // 4


def _boxes(data: bytes, position: int, last: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box."""
    for _ in range(_MOST_BOXES):
        if position + 8 > last:
            return
        length, name, start = big(data, position, 4), data[position + 4 : position + 8], 8
        if length == 1:
            length, start = big(data, position + 8, 8), 16
        end = last if length == 0 else position + length
        if end > last or end < position + start:
            raise IndexError(end)
        yield name, position + start, end
        position = end


def _read_size(data: bytes, position: int) -> _Size:
    """The size segment, which begins a codestream (A.5.1).

    Markers, length and capabilities (8 bytes); the corners of the picture and of a tile, 4 bytes
    each; components (2); depth and steps of each (3).
    """
    if not data.startswith(JPEG_2000_CODESTREAM, position):
        raise ValueError("is a damaged JPEG 2000 (its picture has no header)")
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top = (
        big(data, place, 4) for place in range(position + 8, position + 40, 4)
    )
    channels = big(data, position + 40, 2)
    depths = [data[position + 42 + 3 * number] for number in range(channels)]
    if right <= left or bottom <= top or not channels:
        raise ValueError("claims an empty picture")
    if 0 in (tile_width, tile_height):
        raise ValueError("is a damaged JPEG 2000 (its tiles are empty)")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > _MOST_TILES:
        raise ValueError(
            f"has {tiles} tiles, more than {_MOST_TILES}; save it in larger ones, or as TIFF"
        )
    return _Size(bottom - top, right - left, channels, max(depth & 0x7F for depth in depths) + 1)
