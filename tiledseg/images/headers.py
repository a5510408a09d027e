"""What an image file holds: kind, size, channels, bits, palette, as its header says it.

``parsing`` reads the headers of bytes, ``tiff`` and ``ome_zarr`` those of files and stores.
``limits`` looks at them before anything is decoded.
"""

from dataclasses import dataclass

import numpy as np

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_2000_CODESTREAM = b"\xff\x4f\xff\x51"
_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "jpeg": (b"\xff\xd8\xff",),
    "png": (PNG_SIGNATURE,),
    "tiff": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    "gif": (b"GIF87a", b"GIF89a"),
    "jpeg2000": (b"\x00\x00\x00\x0cjP  \r\n\x87\n", JPEG_2000_CODESTREAM),
    "bmp": (b"BM",),
}


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
        type: Of a channel's values as they are decoded, as NumPy names it; ``""`` for the least
            unsigned integer that holds ``bits``.
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
    type: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.height, self.width

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        """The type of a channel's values as they are decoded."""
        return np.dtype(self.type or f"u{1 if self.bits <= 8 else 2 if self.bits <= 16 else 4}")

    @property
    def decoded_bytes(self) -> int:
        """Bytes of one picture as it is decoded; decoders make four channels of gray and alpha."""
        channels = 4 if self.channels == 2 or self.palette else self.channels
        return self.height * self.width * channels * self.dtype.itemsize


def kind_of(head: bytes) -> str | None:
    """The kind of file that starts with these bytes (16 suffice), whatever its name says.

    Returns:
        ``jpeg``, ``png``, ``bmp``, ``tiff``, ``webp``, ``gif``, ``jpeg2000``, or None for
        anything else.
    """
    if head.startswith(b"RIFF"):
        return "webp" if head[8:12] == b"WEBP" else None
    return next((kind for kind, starts in _SIGNATURES.items() if head.startswith(starts)), None)
