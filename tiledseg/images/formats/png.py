"""PNG (ISO/IEC 15948): its header, whether it is whole, and the file without what is no pixel.

Pillow refuses sound pixels for what is beside them (a damaged profile or time, a long text), and
believes the last of several header blocks, where other decoders believe the first.
"""

import zlib
from collections.abc import Iterator

from tiledseg.images.formats.numbers import big
from tiledseg.images.headers import PNG_SIGNATURE, Header
from tiledseg.images.orientation import exif_orientation

_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""By color type; those of the colors for a palette."""
_PALETTE = 3
_MOST_BLOCKS = 2**18
"""A file of two gigabytes has as many where a block has 8 KiB."""
_SPARE = 2**16


def parse_png(data: bytes) -> Header:
    """Read the header block, which is the first and the only one.

    Raises:
        ValueError: The file is damaged; the message follows its name.
        IndexError: It is truncated.
    """
    exif, packed = b"", 0
    view = memoryview(data)
    for number, (start, end, name) in enumerate(_blocks(data)):
        if (name == b"IHDR") != (number == 0):
            fault = "its first block is no header" if number == 0 else "it has two headers"
            raise ValueError(f"is a damaged PNG ({fault})")
        if number == 0 and end - start != 25:
            raise ValueError(f"is a damaged PNG (its header has {end - start - 12} bytes, not 13)")
        if name == b"eXIf":
            exif = data[start + 8 : end - 4]
        if name == b"IDAT":
            packed += end - start
        if big(data, end - 4, 4) != zlib.crc32(view[start + 4 : end - 4]):
            raise ValueError(f"is a damaged PNG (checksum of the block at byte {start} is wrong)")
    # Width (4 bytes), height (4), bits, color type.
    bits, color = data[24], data[25]
    if color not in _CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise ValueError(f"is a damaged PNG (its color type is {color}, of {bits} bits)")
    height, width = big(data, 20, 4), big(data, 16, 4)
    samples = 1 if color == _PALETTE else _CHANNELS[color]
    # Decoders unpack what follows the pixels, too; interlaced rows begin with more bytes.
    if packed > 2 * height * (width * samples * bits // 8 + 2) + _SPARE:
        raise ValueError(f"is a damaged PNG ({packed} bytes are more than its pixels take)")
    palette = color == _PALETTE
    return Header(
        "png",
        height=height,
        width=width,
        channels=_CHANNELS[color],
        bits=8 if palette else bits,
        alpha=color in (4, 6),
        palette=palette,
        orientation=exif_orientation(exif) if exif else 1,
    )


def strip_png(data: bytes) -> bytes:
    """A PNG without what does not change its stored pixels (color profiles, text, times).

    libpng writes its complaints about those straight to the terminal, and unpacks them.

    Args:
        data: A whole PNG that ``parse_png`` found sound.

    Returns:
        The same object where there is nothing to leave out.
    """
    kept = [(0, len(PNG_SIGNATURE))]
    for start, end, name in _blocks(data):
        first, last = kept[-1]
        if name in _PIXELS:
            kept[-1:] = [(first, end)] if start == last else [(first, last), (start, end)]
    return b"".join(data[start:end] for start, end in kept)


def _blocks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and name of each block, up to the last; IndexError where the file is cut."""
    start, name, count = len(PNG_SIGNATURE), b"", 0
    while name != b"IEND":
        name = data[start + 4 : start + 8]
        end = start + 12 + big(data, start, 4)
        if end > len(data):
            raise IndexError(end)
        count += 1
        if count > _MOST_BLOCKS:
            raise ValueError(f"is a damaged PNG (it has more than {_MOST_BLOCKS} blocks)")
        yield start, end, name
        start = end
