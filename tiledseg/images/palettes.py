"""PNG files with a palette, whose pixels are indices: as grey files and back, without decoding.

OpenCV replaces indices by colours when it reads, and writes no palettes. Grey and palette files
of PNG store their pixels alike; they differ in the header's colour type and in the palette.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from tiledseg.images.headers import png_blocks

GREY, PALETTE = 0, 3
"""Colour types of PNG."""
_COLOR_TYPE = 9
"""Place of the colour type in the content of the header block."""


def indices_as_grey(data: bytes) -> bytes:
    """A PNG with a palette as a grey one whose stored values are the indices.

    Args:
        data: A whole PNG that ``inspect`` found sound.
    """
    blocks = [
        (name, _with_color_type(content, GREY) if name == b"IHDR" else content)
        for name, content in png_blocks(data)
        if name in (b"IHDR", b"IDAT", b"IEND")
    ]
    return _png(blocks)


def grey_as_indices(data: bytes, palette: NDArray[np.uint8]) -> bytes:
    """A grey PNG of 8 bits as one whose values are indices of a palette.

    Args:
        data: A whole PNG.
        palette: (N, 3), uint8 RGB, N at most 256; a colour for every value in the file.
    """
    blocks = []
    for name, content in png_blocks(data):
        if name == b"IHDR":
            blocks.append((name, _with_color_type(content, PALETTE)))
            blocks.append((b"PLTE", palette.astype(np.uint8).tobytes()))
        elif name in (b"IDAT", b"IEND"):
            blocks.append((name, content))
    return _png(blocks)


def _with_color_type(header: bytes, color_type: int) -> bytes:
    return header[:_COLOR_TYPE] + bytes([color_type]) + header[_COLOR_TYPE + 1 :]


def _png(blocks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, content in blocks:
        checksum = zlib.crc32(name + content)
        parts += [len(content).to_bytes(4, "big"), name, content, checksum.to_bytes(4, "big")]
    return b"".join(parts)
