"""The headers of image files in memory, and whether the files reach their own end.

Decoders fill a truncated picture with gray and say nothing; a network would learn from it. So a
header counts only where the file reaches its own end. No pixel is decoded.

The header is the one that the decoder obeys, which is handed nothing else: of several headers in
a file one reader believes the first, another the last, and a limit must not look at the wrong one.

Height and width are those of the picture as viewers show it, after any EXIF orientation.
"""

from collections.abc import Callable
from dataclasses import replace

from tiledseg.images.formats.bmp import parse_bmp
from tiledseg.images.formats.gif import parse_gif
from tiledseg.images.formats.jpeg import parse_jpeg
from tiledseg.images.formats.jpeg2000 import parse_jpeg_2000
from tiledseg.images.formats.png import parse_png
from tiledseg.images.formats.webp import parse_webp
from tiledseg.images.headers import Header, kind_of
from tiledseg.images.orientation import upright_shape

_PARSERS: dict[str, Callable[[bytes], Header]] = {
    "jpeg": parse_jpeg,
    "png": parse_png,
    "bmp": parse_bmp,
    "gif": parse_gif,
    "webp": parse_webp,
    "jpeg2000": parse_jpeg_2000,
}


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
