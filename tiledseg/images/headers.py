"""What an image file holds: kind, size, channels, bits, palette, and whether it is complete.

Decoders fill a truncated picture with gray and say nothing; a network would learn from it. So a
header counts only where the file reaches its own end. No pixel is decoded.

Pillow reads the headers of BMP, GIF, JPEG 2000 and WebP. Those of JPEG and PNG are walked here. Of
a JPEG, Pillow finds the missing end only by decoding. Of a PNG, Pillow refuses sound pixels for
what is beside them (a damaged profile or time, a long text), and believes the last of several
header blocks, where decoders believe the first.

Height and width are those of the picture as viewers show it, after any EXIF orientation.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tiledseg.errors import one_line
from tiledseg.images.orientation import exif_orientation, upright_shape

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""By color type; those of the colors for a palette."""
_PNG_PALETTE = 3
_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "jpeg": (b"\xff\xd8\xff",),
    "png": (_PNG_SIGNATURE,),
    "tiff": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    "gif": (b"GIF87a", b"GIF89a"),
    "jpeg2000": (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "bmp": (b"BM",),
}
# A marker that is neither a stuffed byte (FF00), a fill byte, TEM nor a restart (FFD0..FFD7).
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END, _JPEG_EXIF = 0xDA, 0xD9, 0xE1


@dataclass(frozen=True)
class Header:
    """What an image file holds.

    Attributes:
        kind: ``jpeg``, ``png``, ``bmp``, ``tiff``, ``webp``, ``gif``, ``jpeg2000`` or ``zarr``.
        height: Rows of the picture as shown, in pixels.
        width: Columns of the picture as shown, in pixels.
        channels: Channels of a pixel, alpha included; those of its colors for a palette.
        bits: Bits of a channel.
        alpha: True where the last channel is alpha.
        palette: True where pixels are indices of colors.
        pages: Pictures of the file's own size: pages of a TIFF, frames of a GIF; 1 of others.
        orientation: How viewers turn what is stored, 1 to 8 as EXIF has it; 1: not at all.
    """

    kind: str
    height: int
    width: int
    channels: int
    bits: int
    alpha: bool = False
    palette: bool = False
    pages: int = 1
    orientation: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.height, self.width


def kind_of(head: bytes) -> str | None:
    """The kind of file that starts with these bytes (16 suffice), whatever its name says.

    Returns:
        ``jpeg``, ``png``, ``bmp``, ``tiff``, ``webp``, ``gif``, ``jpeg2000``, or None for
        anything else.
    """
    if head.startswith(b"RIFF"):
        return "webp" if head[8:12] == b"WEBP" else None
    return next((kind for kind, starts in _SIGNATURES.items() if head.startswith(starts)), None)


def parse_header(data: bytes) -> Header:
    """Read the header of any kind but TIFF, and check that the file reaches its own end.

    Args:
        data: The whole file.

    Raises:
        ValueError: The bytes are of no kind that is read, truncated or damaged; the message
            says which, in words that follow the file's name.
    """
    kind = kind_of(data[:16])
    if kind is None or kind not in _PARSERS:
        raise ValueError(
            "is not a JPEG, PNG, BMP or TIFF file inside, nor a WebP, GIF or JPEG 2000"
        )
    try:
        header = _PARSERS[kind](data)
    except IndexError:
        raise ValueError(f"is a truncated {kind.upper()}") from None
    if header.height < 1 or header.width < 1:
        raise ValueError(f"claims an empty picture of {header.width} x {header.height} pixels")
    height, width = upright_shape(header.height, header.width, header.orientation)
    return replace(header, height=height, width=width)


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


def last_jpeg_scan(data: bytes) -> tuple[int, int]:
    """Where the compressed pixels of a JPEG's last scan begin and end.

    Args:
        data: A whole JPEG that ``parse_header`` found sound.
    """
    begin = end = 0
    for marker, start, following in _jpeg_segments(data):
        if marker == _JPEG_SCAN:
            begin = following
        end = start
    return begin, end


def _parse_jpeg(data: bytes) -> Header:
    header, scanned, exif = Header("jpeg", 0, 0, 3, 8), False, b""
    for marker, start, following in _jpeg_segments(data):
        if marker == _JPEG_END and not scanned:
            raise ValueError("is a truncated JPEG (it ends before its pixels)")
        place = start + 2
        if marker in _JPEG_FRAMES:  # length (2 bytes), bits, height (2), width (2), channels
            height, width = _number(data, place + 3, 2), _number(data, place + 5, 2)
            header = Header("jpeg", height, width, data[place + 7], data[place + 2])
        if marker == _JPEG_EXIF and not exif and data.startswith(b"Exif\0\0", place + 2):
            exif = data[place + 2 : following]
        scanned = scanned or marker == _JPEG_SCAN
    return replace(header, orientation=exif_orientation(exif)) if exif else header


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment, up to the end marker, whose end is its start.

    Segments are walked, so that the end marker of a thumbnail inside one is not taken for ours.
    """
    position = 2
    while match := _JPEG_MARKER.search(data, position):
        marker, start = data[match.start(1)], match.start()
        if marker == _JPEG_END:
            yield marker, start, start
            return
        position = match.end() + _number(data, match.end(), 2)
        yield marker, start, position
    raise ValueError("is a truncated JPEG (its end marker is missing)")


def _parse_png(data: bytes) -> Header:
    exif = b""
    for start, end, name in _png_chunks(data):
        if name == b"eXIf":
            exif = data[start + 8 : end - 4]
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
        orientation=exif_orientation(exif) if exif else 1,
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
    image = _open_plugin(BmpImageFile, data, "BMP")
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


def _parse_gif(data: bytes) -> Header:
    if not data.rstrip(b"\0").endswith(b";"):
        raise ValueError("is a truncated GIF (its end marker is missing)")
    image = _open_plugin(GifImageFile, data, "GIF")
    frames = int(getattr(image, "n_frames", 1))
    return Header("gif", image.height, image.width, 3, 8, palette=True, pages=frames)


def _parse_webp(data: bytes) -> Header:
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise ValueError("is a truncated WebP (it ends before the length that it claims)")
    image = _open_plugin(WebPImageFile, data, "WebP")
    alpha = image.mode == "RGBA"
    exif = image.info.get("exif", b"")
    return Header(
        "webp",
        height=image.height,
        width=image.width,
        channels=4 if alpha else 3,
        bits=8,
        alpha=alpha,
        pages=int(getattr(image, "n_frames", 1)),
        orientation=exif_orientation(exif) if exif else 1,
    )


def _parse_jpeg_2000(data: bytes) -> Header:
    if not data.endswith(b"\xff\xd9"):
        raise ValueError("is a truncated JPEG 2000 (its end marker is missing)")
    image = _open_plugin(Jpeg2KImageFile, data, "JPEG 2000")
    # The size segment: marker, length, capabilities, 8 sizes, components (2 bytes), depths.
    place = data.index(b"\xff\x4f\xff\x51") + 40
    channels, depth = _number(data, place, 2), data[place + 2]
    return Header(
        "jpeg2000",
        height=image.height,
        width=image.width,
        channels=channels,
        bits=(depth & 0x7F) + 1,
        alpha=channels in (2, 4),
    )


def _open_plugin(plugin: type[ImageFile], data: bytes, name: str) -> ImageFile:
    """Open with the plugin itself: ``Image.open`` refuses or warns of large images."""
    try:
        return plugin(BytesIO(data))
    except Exception as error:  # noqa: BLE001 - SyntaxError, OSError, struct.error... by the fault
        raise ValueError(f"is a truncated or damaged {name} ({one_line(error)})") from None


_PARSERS: dict[str, Callable[[bytes], Header]] = {
    "jpeg": _parse_jpeg,
    "png": _parse_png,
    "bmp": _parse_bmp,
    "gif": _parse_gif,
    "webp": _parse_webp,
    "jpeg2000": _parse_jpeg_2000,
}


def _number(data: bytes, position: int, length: int) -> int:
    """An unsigned integer, most significant byte first; IndexError where the file ends before."""
    field = data[position : position + length]
    if len(field) < length:
        raise IndexError(position)
    return int.from_bytes(field, "big")
