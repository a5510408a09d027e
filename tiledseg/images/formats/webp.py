"""WebP (RFC 9649): its header, of still pictures and films.

Pillow would make room for the whole canvas to read it.
"""

from collections.abc import Iterator

from tiledseg.images.formats.numbers import little
from tiledseg.images.headers import Header
from tiledseg.images.orientation import exif_orientation

_FILM, _ALPHA = 0x02, 0x10
"""Flags of the extended header."""
_MOST_CHUNKS = 100_000


def parse_webp(data: bytes) -> Header:
    """Read the header of the picture, which must be that of the canvas, where there is one.

    Raises:
        ValueError: The file is truncated or damaged; the message follows its name.
        IndexError: It is truncated.
    """
    if 8 + little(data, 4, 4) > len(data):
        raise ValueError("is a truncated WebP (it ends before the length that it claims)")
    canvas: tuple[int, int] | None = None
    pictures: list[tuple[int, int, bool]] = []
    flags, frames, exif = 0, 0, b""
    for name, start, end in _chunks(data):
        if name == b"VP8X":
            if canvas is not None or pictures or frames:
                raise ValueError("is a damaged WebP (it has two headers)")
            flags = data[start]
            canvas = little(data, start + 7, 3) + 1, little(data, start + 4, 3) + 1
        elif name in _PICTURES:
            pictures.append(_PICTURES[name](data, start))
        elif name == b"ANMF":
            frames += 1
        elif name == b"EXIF" and not exif:
            exif = data[start:end]
    orientation = exif_orientation(exif) if exif else 1
    if flags & _FILM:
        if canvas is None or not frames:
            raise ValueError("is a damaged WebP (it has no frame)")
        alpha = bool(flags & _ALPHA)
        return _header(*canvas, alpha=alpha, pages=frames, orientation=orientation)
    if len(pictures) != 1 or frames:
        raise ValueError(f"is a damaged WebP (it holds {len(pictures) + frames} pictures, not one)")
    height, width, alpha = pictures[0]
    if canvas not in (None, (height, width)):
        raise ValueError("is a damaged WebP (its picture is of another size than its canvas)")
    alpha = alpha or bool(flags & _ALPHA)
    return _header(height, width, alpha=alpha, pages=1, orientation=orientation)


def _header(height: int, width: int, *, alpha: bool, pages: int, orientation: int) -> Header:
    channels = 4 if alpha else 3
    return Header(
        "webp", height, width, channels, 8, alpha=alpha, pages=pages, orientation=orientation
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each chunk."""
    position, last = 12, min(len(data), 8 + little(data, 4, 4))
    for _ in range(_MOST_CHUNKS):
        if position + 8 > last:
            return
        start = position + 8
        end = start + little(data, position + 4, 4)
        if end > last:
            raise IndexError(end)
        yield data[position : position + 4], start, end
        position = end + end % 2


def _parse_lossy(data: bytes, start: int) -> tuple[int, int, bool]:
    """Height, width and whether there is alpha, of VP8 (RFC 6386, 9.1)."""
    if data[start + 3 : start + 6] != b"\x9d\x01\x2a":
        raise ValueError("is a damaged WebP (its picture has no header)")
    return little(data, start + 8, 2) & 0x3FFF, little(data, start + 6, 2) & 0x3FFF, False


def _parse_lossless(data: bytes, start: int) -> tuple[int, int, bool]:
    """Height, width and whether there is alpha, of VP8L."""
    if data[start] != 0x2F:
        raise ValueError("is a damaged WebP (its picture has no header)")
    sizes = little(data, start + 1, 4)
    return (sizes >> 14 & 0x3FFF) + 1, (sizes & 0x3FFF) + 1, bool(sizes >> 28 & 1)


_PICTURES = {b"VP8 ": _parse_lossy, b"VP8L": _parse_lossless}
