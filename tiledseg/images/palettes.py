"""PNG files with a palette, whose pixels are indices: as gray files and back, without decoding.

OpenCV replaces indices by colors when it reads, and writes no palettes. Gray and palette files
of PNG store their pixels alike; they differ in the header's color type and in the palette.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from tiledseg.images.headers import png_blocks

GRAY, PALETTE = 0, 3
"""Color types of PNG."""
_COLOR_TYPE = 9
"""Place of the color type in the content of the header block."""


def indices_as_gray(data: bytes) -> bytes:
    """A PNG with a palette as a gray one whose stored values are the indices.

    Args:
        data: A whole PNG that ``inspect`` found sound.
    """
    blocks = [
        (name, _with_color_type(content, GRAY) if name == b"IHDR" else content)
        for name, content in png_blocks(data)
        if name in (b"IHDR", b"IDAT", b"IEND")
    ]
    return _png(blocks)


def gray_as_indices(data: bytes, palette: NDArray[np.uint8]) -> bytes:
    """A gray PNG of 8 bits as one whose values are indices of a palette.

    Args:
        data: A whole PNG.
        palette: (N, 3), uint8 RGB, N at most 256; a color for every value in the file.
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
