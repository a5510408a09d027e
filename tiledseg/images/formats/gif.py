"""GIF (89a): its header, and the file without all frames but the first, which alone is read."""

from collections.abc import Iterator

from tiledseg.images.formats.numbers import little
from tiledseg.images.headers import Header

_EXTENSION, _FRAME, _END = 0x21, 0x2C, 0x3B
_SCREEN = 13
"""Bytes of the signature and the description of the canvas."""
_MOST_BLOCKS = 100_000
"""What follows is not counted: a film of an hour has as many frames."""


def parse_gif(data: bytes) -> Header:
    """Read the canvas, and count the frames.

    Raises:
        ValueError: The file is truncated or damaged, or its first frame is larger than its canvas;
            the message follows its name.
        IndexError: It is truncated.
    """
    if not data.rstrip(b"\0").endswith(b";"):
        raise ValueError("is a truncated GIF (its end marker is missing)")
    width, height = little(data, 6, 2), little(data, 8, 2)
    frames = 0
    for kind, start, _ in _blocks(data):
        if kind != _FRAME:
            continue
        frames += 1
        left, top, wide, high = (little(data, start + place, 2) for place in (1, 3, 5, 7))
        if frames == 1 and (left + wide > width or top + high > height or 0 in (wide, high)):
            raise ValueError(
                f"is a damaged GIF (its first frame of {wide} x {high} pixels lies outside of the "
                "picture)"
            )
    if not frames:
        raise ValueError("is a damaged GIF (it has no frame)")
    return Header("gif", height, width, 3, 8, palette=True, pages=frames)


def first_gif_frame(data: bytes) -> bytes:
    """The file with its first frame alone: decoders make room for all that they are handed.

    Args:
        data: A whole GIF that ``parse_gif`` found sound.
    """
    end = next(end for kind, _, end in _blocks(data) if kind == _FRAME)
    return data[:end] + bytes([_END])


def _blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of extensions and frames; IndexError where the file is cut."""
    position = _SCREEN + _table_bytes(data[10])
    for _ in range(_MOST_BLOCKS):
        start, kind = position, data[position]
        if kind == _END:
            return
        if kind == _FRAME:  # left, top, width, height (2 bytes each), flags; table; code size
            position += 10 + _table_bytes(data[position + 9]) + 1
        elif kind == _EXTENSION:
            position += 2
        else:
            raise ValueError(f"is a damaged GIF (byte {position} begins no block)")
        while size := data[position]:
            position += 1 + size
        position += 1
        yield kind, start, position


def _table_bytes(flags: int) -> int:
    """Bytes of the table of colors that flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
