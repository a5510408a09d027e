"""JPEG (ITU-T T.81): its header, whether it reaches its own end, and where its last scan lies.

Of a JPEG, Pillow finds the missing end only by decoding.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from tiledseg.images.formats.numbers import big
from tiledseg.images.headers import Header
from tiledseg.images.orientation import exif_orientation

# A marker that is neither a stuffed byte (FF00), a fill byte, TEM nor a restart (FFD0..FFD7).
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1
_MOST_SEGMENTS, _MOST_SCANS = 100_000, 200
"""Files have hundreds of the one and a dozen of the other; a scan is a walk over the picture."""
_TWO_HEADERS = "is a damaged JPEG (it has two headers)"
_NO_HEADER = "is a damaged JPEG (it has no header)"


def parse_jpeg(data: bytes) -> Header:
    """Read the frame header, the one there is: decoders obey the first, and refuse a second.

    Raises:
        ValueError: The file is truncated or damaged; the message follows its name.
        IndexError: It is truncated.
    """
    header, scans, exif = None, 0, b""
    for marker, start, following in _segments(data):
        if marker == _END and not scans:
            raise ValueError("is a truncated JPEG (it ends before its pixels)")
        if marker in _FRAMES:
            if header is not None:
                raise ValueError(_TWO_HEADERS)
            header = _read_frame(data, start)
        if marker == _EXIF and not exif and data.startswith(b"Exif\0\0", start + 4):
            exif = data[start + 4 : following]
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            raise ValueError(f"is a damaged JPEG (it has more than {_MOST_SCANS} scans)")
    if header is None:
        raise ValueError(_NO_HEADER)
    return replace(header, orientation=exif_orientation(exif)) if exif else header


def read_jpeg_frame(data: bytes) -> Header:
    """Read the frame header of a JPEG that may lack its tables or its end, as in a TIFF.

    Raises:
        ValueError: There is none before the first scan, or a second.
    """
    header = None
    for marker, start, _ in _segments(data):
        if marker == _SCAN:
            break
        if marker in _FRAMES:
            if header is not None:
                raise ValueError(_TWO_HEADERS)
            header = _read_frame(data, start)
    if header is None:
        raise ValueError(_NO_HEADER)
    return header


def require_tables(data: bytes) -> None:
    """Check a JPEG that is to be put before others.

    Raises:
        ValueError: It has a picture of its own.
    """
    if any(marker in _FRAMES or marker == _SCAN for marker, _, _ in _segments(data)):
        raise ValueError("the shared tables hold a picture")


def last_jpeg_scan(data: bytes) -> tuple[int, int]:
    """Where the compressed pixels of a JPEG's last scan begin and end.

    Args:
        data: A whole JPEG that ``parse_jpeg`` found sound.
    """
    begin = end = 0
    for marker, start, following in _segments(data):
        if marker == _SCAN:
            begin = following
        end = start
    return begin, end


def _read_frame(data: bytes, start: int) -> Header:
    """Marker and length (4 bytes), bits (1), height (2), width (2), channels (1)."""
    height, width = big(data, start + 5, 2), big(data, start + 7, 2)
    return Header("jpeg", height, width, data[start + 9], data[start + 4])


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment, up to the end marker, whose end is its start.

    Segments are walked, so that the end marker of a thumbnail inside one is not taken for ours.
    """
    position, count = 2, 0
    while match := _MARKER.search(data, position):
        marker, start = data[match.start(1)], match.start()
        if marker == _END:
            yield marker, start, start
            return
        count += 1
        if count > _MOST_SEGMENTS:
            raise ValueError(f"is a damaged JPEG (it has more than {_MOST_SEGMENTS} segments)")
        position = match.end() + big(data, match.end(), 2)
        yield marker, start, position
    raise ValueError("is a truncated JPEG (its end marker is missing)")
