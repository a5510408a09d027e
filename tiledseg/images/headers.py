"""What an image file holds: kind, size, channels, bits, palette, and whether it is complete.

Decoders fill a truncated picture with gray and say nothing; a network would learn from it. So a
header counts only where the file reaches its own end. No pixel is decoded.

Pillow reads the headers of BMP. Those of JPEG and PNG are walked here. Of a JPEG, Pillow finds the
missing end only by decoding. Of a PNG, Pillow refuses sound pixels for what is beside them (a
damaged profile or time, a long text), and believes the last of several header blocks, where
decoders believe the first.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL.BmpImagePlugin import BmpImageFile

from tiledseg.errors import one_line

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""By color type; those of the colors for a palette."""
_PNG_PALETTE = 3
_TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# A marker that is neither a stuffed byte (FF00), a fill byte, TEM nor a restart (FFD0..FFD7).
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9


@dataclass(frozen=True)
class Header:
    """What an image file holds.

    Attributes:
        kind: ``jpeg``, ``png``, ``bmp``, ``tiff`` or ``zarr``.
        height: Rows, in pixels.
        width: Columns, in pixels.
        channels: Channels of a pixel, alpha included; those of its colors for a palette.
        bits: Bits of a channel.
        alpha: True where the last channel is alpha.
        palette: True where pixels are indices of colors.
        pages: Pages of a TIFF; 1 of others.
    """

    kind: str
    height: int
    width: int
    channels: int
    bits: int
    alpha: bool = False
    palette: bool = False
    pages: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.height, self.width


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


def parse_header(data: bytes) -> Header:
    """Read the header of a JPEG, PNG or BMP, and check that the file reaches its own end.

    Args:
        data: The whole file.

    Raises:
        ValueError: The bytes are none of the three kinds, truncated or damaged; the message
            says which, in words that follow the file's name.
    """
    kind = kind_of(data[:16])
    if kind is None or kind not in _PARSERS:
        raise ValueError("is not a JPEG, PNG, BMP or TIFF file inside")
    try:
        header = _PARSERS[kind](data)
    except IndexError:
        raise ValueError(f"is a truncated {kind.upper()}") from None
    if header.height < 1 or header.width < 1:
        raise ValueError(f"claims an empty picture of {header.width} x {header.height} pixels")
    return header


def strip_png(data: bytes) -> bytes:
    """A PNG without what does not change its stored pixels (color profiles, text, times).

    libpng writes its complaints about those straight to the terminal.

    Args:
        data: A whole PNG that ``parse_header`` found sound.

    Returns:
        The same object where there is nothing to leave out.
    """
    kept = [(0, len(_PNG_SIGNATURE))]
    for start, end, name in _png_chunks(data):
        first, last = kept[-1]
        if name in _PNG_PIXELS:
            kept[-1:] = [(first, end)] if start == last else [(first, last), (start, end)]
    return b"".join(data[start:end] for start, end in kept)


def _parse_jpeg(data: bytes) -> Header:
    """Walk the segments, so that the end marker of a thumbnail inside one is not taken for ours."""
    header, scanned, position = Header("jpeg", 0, 0, 3, 8), False, 2
    while match := _JPEG_MARKER.search(data, position):
        marker, position = data[match.start(1)], match.end()
        if marker == _JPEG_END:
            if not scanned:
                break
            return header
        if marker in _JPEG_FRAMES:  # length (2 bytes), bits, height (2), width (2), channels
            height, width = _number(data, position + 3, 2), _number(data, position + 5, 2)
            header = Header("jpeg", height, width, data[position + 7], data[position + 2])
        scanned = scanned or marker == _JPEG_SCAN
        position += _number(data, position, 2)
    raise ValueError("is a truncated JPEG (its end marker is missing)")


def _parse_png(data: bytes) -> Header:
    for start, end, _ in _png_chunks(data):
        if _number(data, end - 4, 4) != zlib.crc32(memoryview(data)[start + 4 : end - 4]):
            raise ValueError(f"is a damaged PNG (checksum of the block at byte {start} is wrong)")
    # The first block is the header: width (4 bytes), height (4), bits, color type.
    bits, color = data[24], data[25]
    if color not in _PNG_CHANNELS:
        raise ValueError(f"is a damaged PNG (its color type is {color})")
    palette = color == _PNG_PALETTE
    return Header(
        "png",
        height=_number(data, 20, 4),
        width=_number(data, 16, 4),
        channels=_PNG_CHANNELS[color],
        bits=8 if palette else bits,
        alpha=color in (4, 6),
        palette=palette,
    )


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


def _parse_bmp(data: bytes) -> Header:
    """By Pillow, whose plugin is used itself: ``Image.open`` refuses or warns of large images."""
    try:
        image = BmpImageFile(BytesIO(data))
    except Exception as error:  # noqa: BLE001 - SyntaxError, OSError, struct.error... by the fault
        raise ValueError(f"is a truncated or damaged BMP ({one_line(error)})") from None
    codec, _, start, arguments = image.tile[0]
    if codec == "raw" and isinstance(arguments, tuple):
        row = int(arguments[1])
        if start + row * image.height > len(data):
            raise ValueError("is a truncated BMP (pixels are missing at its end)")
    colors = len(image.getbands())
    return Header(
        "bmp",
        height=image.height,
        width=image.width,
        channels=3 if image.mode == "P" else colors,
        bits=8,
        alpha=image.mode == "RGBA",
        palette=image.mode == "P",
    )


_PARSERS: dict[str, Callable[[bytes], Header]] = {
    "jpeg": _parse_jpeg,
    "png": _parse_png,
    "bmp": _parse_bmp,
}


def _number(data: bytes, position: int, length: int) -> int:
    """An unsigned integer, most significant byte first; IndexError where the file ends before."""
    field = data[position : position + length]
    if len(field) < length:
        raise IndexError(position)
    return int.from_bytes(field, "big")
