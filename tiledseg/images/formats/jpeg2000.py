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
_MOST_BLOCKS, _MOST_LAYERED = 2**20, 2**25
"""Blocks of code, and their number times that of the layers: each takes a hundred bytes. RGB of
2**30 pixels has 800,000 of the usual 64 x 64."""
_MOST_PARTS = 2**17
_SIZE, _CODE, _CODE_OF_CHANNEL, _PART, _DATA = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93


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
    return read_jpeg_2000_frame(data)


def read_jpeg_2000_frame(data: bytes) -> Header:
    """Read the header of a JPEG 2000 that may lack its end, as in a TIFF.

    Raises:
        ValueError: As for ``parse_jpeg_2000``.
        IndexError: It is truncated.
    """
    if data.startswith(JPEG_2000_CODESTREAM):
        size, columns = _read_codestream(data, 0), 0
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
            for inner, begin, stop in _boxes(data, start, end):
                if inner == b"ihdr":
                    claimed = big(data, begin, 4), big(data, begin + 4, 4)
                elif inner == b"pclr":
                    columns = max(columns, data[begin + 2])
                elif inner == b"cmap":
                    columns = max(columns, (stop - begin) // 4)
        if name == b"jp2c":
            size = _read_codestream(data, start)
            if claimed != (size.height, size.width):
                raise ValueError("is a damaged JPEG 2000 (its headers claim different sizes)")
            return size, columns
    raise ValueError("is a damaged JPEG 2000 (it has no picture)")


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


def _read_codestream(data: bytes, position: int) -> _Size:
    """The size that a codestream begins with, if what it is coded in is no more than can be.

    Markers of the main header, and of each part of a tile, are walked: each may set the code.
    """
    size = _read_size(data, position)
    place, following, parts, seen = position + 2, len(data), 0, 0
    while place + 4 <= len(data):
        marker, length = big(data, place, 2), big(data, place + 2, 2)
        if marker == _PART:  # its number (2 bytes), length (4) and more
            parts += 1
            if parts > _MOST_PARTS:
                raise ValueError(f"is a damaged JPEG 2000 (it has more than {_MOST_PARTS} parts)")
            following = place + (big(data, place + 6, 4) or len(data))
        elif marker == _SIZE:
            seen += 1
            if seen > 1:
                raise ValueError("is a damaged JPEG 2000 (it has two headers)")
        elif marker == _CODE:
            _require_blocks(data, place, size)
        elif marker == _CODE_OF_CHANNEL:
            _require_blocks(data, place, size, skip=1 if size.channels < 257 else 2)
        after = place + 2 + max(2, length)
        place = max(following, after) if marker == _DATA else after
    return size


def _require_blocks(data: bytes, place: int, size: _Size, skip: int | None = None) -> None:
    """Refuse a code of more blocks, or layers of them, than a decoder should make room for (A.6.1).

    Args:
        data: The file.
        place: Of the marker of a code.
        size: The picture.
        skip: Bytes of the channel's number, where the code is for one channel.
    """
    has_precincts = data[place + 4 + (skip or 0)] & 1
    layers = 1 if skip else big(data, place + 6, 2)
    at = place + (5 + skip if skip else 9)
    levels = min(data[at], 32)
    block = data[at + 1] + 2, data[at + 2] + 2  # exponents of its width and height
    total = 0
    for level in range(levels + 1):
        cell = block
        if has_precincts:
            exponents = data[at + 5 + level]
            halved = level > 0  # in sub-bands, of half the size
            cell = (
                min(block[0], max(0, (exponents & 15) - halved)),
                min(block[1], max(0, (exponents >> 4) - halved)),
            )
        area = (size.height * size.width) >> (2 * (levels - level))
        total += (area >> sum(cell)) + 1
    total *= size.channels
    if total > _MOST_BLOCKS or total * layers > _MOST_LAYERED:
        raise ValueError(
            f"is coded in {total} blocks and {layers} layers, at most {_MOST_BLOCKS} blocks are "
            "read; save it as tiled TIFF"
        )


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
