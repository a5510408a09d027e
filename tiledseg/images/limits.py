"""How large a picture may be to be decoded: what its header claims, before anything is decoded.

The size that counts is what the decoder makes room for: height x width x channels x bytes of a
value. A file of a few bytes may claim any size, so large claims must also stand in some proportion
to the file: no decoder finds 64 million pixels in a kilobyte, unless they are all alike.
"""

from tiledseg.images.headers import Header

MAX_PIXELS = 2**30
"""Largest picture that is decoded in one piece; OpenCV's own limit."""
MAX_BYTES = 2**32
"""Largest picture that is decoded in one piece, in bytes: 2**30 pixels of RGB with alpha."""
LARGEST_PIECE = 2**28
"""Bytes that a file's own tile, strip or chunk may take, decoded; each is decoded whole."""
SMALL = 2**26
"""Bytes of a decoded picture that any file may claim, however short it is."""
MOST_EXPANSION = 3000
"""Bytes that a byte of the file may become, of larger pictures. Deflate (PNG) reaches 1032, JPEG
1400, the LZW of GIF 2700, with pixels that are all alike; WebP and JPEG 2000 have no such bound."""


class LimitError(ValueError):
    """A picture that is too large; the message follows the file's name, and says what to do."""


def require_fit(header: Header, pages: int = 1) -> None:
    """Refuse a picture that is too large to be decoded in one piece.

    Args:
        header: What the decoder will obey.
        pages: Pictures of that size that are held together.

    Raises:
        LimitError: It is too large.
    """
    if header.height * header.width > MAX_PIXELS:
        raise LimitError(
            f"claims {header.width} x {header.height} pixels, more than {MAX_PIXELS} in all; cut "
            "it into smaller images"
        )
    size = header.decoded_bytes * pages
    if size > MAX_BYTES:
        of_pages = f" on {pages} pages" if pages > 1 else ""
        raise LimitError(
            f"claims {header.width} x {header.height} pixels of {header.channels} x "
            f"{8 * header.dtype.itemsize} bits{of_pages}, which are {size / 1e9:.1f} GB, more than "
            f"{MAX_BYTES / 1e9:.1f}; cut it into smaller images"
        )


def require_substance(header: Header, stored_bytes: int) -> None:
    """Refuse a picture that its file is too short to hold.

    Args:
        header: What the decoder will obey.
        stored_bytes: Length of the file.

    Raises:
        LimitError: It cannot be in the file.
    """
    stored_bits = header.height * header.width * (1 if header.palette else header.channels)
    stored_bits *= header.bits
    if header.decoded_bytes > SMALL and stored_bits > 8 * MOST_EXPANSION * stored_bytes:
        raise LimitError(
            f"claims {header.width} x {header.height} pixels in {stored_bytes} bytes, which hold "
            "no such picture; export it again, as PNG or tiled TIFF"
        )


def require_piece(piece_bytes: int) -> None:
    """Refuse tiles, strips or chunks that are too large to be decoded, each in one piece.

    Raises:
        LimitError: They are.
    """
    if piece_bytes > LARGEST_PIECE:
        raise LimitError(
            f"is stored in pieces of {piece_bytes / 1e6:.0f} MB, which would each be decoded "
            f"whole; save it in tiles of at most {LARGEST_PIECE / 1e6:.0f} MB, 512 x 512 pixels "
            "for example"
        )
