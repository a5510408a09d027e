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
"""Files have hundreds of the one, and a dozen of the other; each scan is a walk over the picture."""


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
        place = start + 2
        if marker in _FRAMES:  # length (2 bytes), bits, height (2), width (2), channels
            if header is not None:
                raise ValueError("is a damaged JPEG (it has two headers)")
            height, width = big(data, place + 3, 2), big(data, place + 5, 2)
            header = Header("jpeg", height, width, data[place + 7], data[place + 2])
        if marker == _EXIF and not exif and data.startswith(b"Exif\0\0", place + 2):
            exif = data[place + 2 : following]
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            raise ValueError(f"is a damaged JPEG (it has more than {_MOST_SCANS} scans)")
    if header is None:
        raise ValueError("is a damaged JPEG (it has no header)")
    return replace(header, orientation=exif_orientation(exif)) if exif else header


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
