"""What the bytes of an image file claim: kind, size and completeness, without decoding.

Decoders fill a truncated picture with gray and say nothing; a network would learn from it.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# A marker that is neither a stuffed byte (FF00), a fill byte, TEM nor a restart (FFD0..FFD7).
JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9


@dataclass(frozen=True)
class FileHeader:
    """What a file claims to hold.

    Attributes:
        kind: ``jpeg``, ``png``, ``bmp`` or ``tiff``.
        height: Rows, in pixels; 0 for TIFF, whose directory is read elsewhere.
        width: Columns, in pixels; 0 for TIFF.
    """

    kind: str
    height: int = 0
    width: int = 0


def kind_of(head: bytes) -> str | None:
    """The kind of file that starts with these bytes (16 suffice), whatever its name says.

    Returns:
        ``jpeg``, ``png``, ``bmp``, ``tiff``, or None for anything else.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(_PNG_SIGNATURE):
        return "png"
    if head.startswith(_TIFF_SIGNATURES):
        return "tiff"
    return "bmp" if head.startswith(b"BM") else None


def inspect(data: bytes) -> FileHeader:
    """Read the claimed size, and check that the file reaches its own end.

    Args:
        data: The whole file.

    Raises:
        ValueError: The bytes are none of the four kinds, truncated or damaged; the message
            says which, in words that follow the file's name.
    """
    kind = kind_of(data[:16])
    if kind is None:
        raise ValueError("is not a JPEG, PNG, BMP or TIFF file inside")
    if kind == "tiff":
        return FileHeader(kind)
    try:
        height, width = _INSPECTORS[kind](data)
    except IndexError:
        raise ValueError(f"is a truncated {kind.upper()}") from None
    if height < 1 or width < 1:
        raise ValueError(f"claims an empty picture of {width} x {height} pixels")
    return FileHeader(kind, height, width)


def without_png_extras(data: bytes) -> bytes:
    """A PNG without what does not change its stored pixels (color profiles, text, times).

    libpng writes its complaints about those straight to the terminal.

    Args:
        data: A whole PNG that ``inspect`` found sound.

    Returns:
        The same object where there is nothing to leave out.
    """
    kept = [(0, len(_PNG_SIGNATURE))]
    for start, end, name in _png_chunks(data):
        first, last = kept[-1]
        if name in _PNG_PIXELS:
            kept[-1:] = [(first, end)] if start == last else [(first, last), (start, end)]
    return b"".join(data[start:end] for start, end in kept)


def png_blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each block of a PNG that ``inspect`` found sound."""
    for start, end, name in _png_chunks(data):
        yield name, data[start + 8 : end - 4]


def _inspect_jpeg(data: bytes) -> tuple[int, int]:
    """Walk the segments, so that the end marker of a thumbnail inside one is not taken for ours."""
    shape, scanned, position = (0, 0), False, 2
    while match := JPEG_MARKER.search(data, position):
        marker, position = data[match.start(1)], match.end()
        if marker == _JPEG_END:
            if not scanned:
                break
            return shape
        if marker in JPEG_FRAMES:
            shape = _number(data, position + 3, 2), _number(data, position + 5, 2)
        scanned = scanned or marker == _JPEG_SCAN
        position += _number(data, position, 2)
    raise ValueError("is a truncated JPEG (its end marker is missing)")


def _inspect_png(data: bytes) -> tuple[int, int]:
    for start, end, _ in _png_chunks(data):
        if _number(data, end - 4, 4) != zlib.crc32(memoryview(data)[start + 4 : end - 4]):
            raise ValueError(f"is a damaged PNG (checksum of the block at byte {start} is wrong)")
    return _number(data, 20, 4), _number(data, 16, 4)


def _png_chunks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and name of each block, up to the last; IndexError where the file is cut."""
    start, name = len(_PNG_SIGNATURE), b""
    while name != b"IEND":
        name = data[start + 4 : start + 8]
        end = start + 12 + _number(data, start, 4)
        if end > len(data):
            raise IndexError(end)
        yield start, end, name
        start = end


def _inspect_bmp(data: bytes) -> tuple[int, int]:
    start, header = _number(data, 10, 4, "little"), _number(data, 14, 4, "little")
    if header == 12:  # OS/2
        width, height = _number(data, 18, 2, "little"), _number(data, 20, 2, "little")
        bits, compression = _number(data, 24, 2, "little"), 0
    else:
        width = _number(data, 18, 4, "little")
        height = abs(int.from_bytes(data[22:26], "little", signed=True))
        bits, compression = _number(data, 28, 2, "little"), _number(data, 30, 4, "little")
    row = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and start + row * height > len(data):
        raise ValueError("is a truncated BMP (pixels are missing at its end)")
    return height, width


_INSPECTORS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "jpeg": _inspect_jpeg,
    "png": _inspect_png,
    "bmp": _inspect_bmp,
}


def _number(data: bytes, position: int, length: int, order: str = "big") -> int:
    """An unsigned integer; IndexError where the file ends before it."""
    field = data[position : position + length]
    if len(field) < length:
        raise IndexError(position)
    return int.from_bytes(field, "little" if order == "little" else "big")
