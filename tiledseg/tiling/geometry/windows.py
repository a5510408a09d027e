"""Windows of a padded image, read from a source that holds the image alone."""

import numpy as np
from numpy.typing import NDArray

from tiledseg.tiling.geometry.regions import Region, RegionSource


def read_window(source: RegionSource, window: Region) -> NDArray[np.uint8]:
    """Read a window that may run on beyond the image, which is mirrored there.

    The mirror lies on the border, so the last line comes twice; an image smaller than what is
    missing is mirrored again and again. One pixel gives a plain window.

    Args:
        source: The image.
        window: Rows and columns; may begin before 0 and end beyond the image.

    Returns:
        (window height, window width, C) uint8; a view of the source's answer where nothing is
        mirrored.
    """
    height, width, _ = source.shape
    if all(s.start >= 0 and s.stop <= n for s, n in zip(window, (height, width), strict=True)):
        return source.read(window)
    rows, columns = _mirror(window[0], height), _mirror(window[1], width)
    region = tuple(slice(int(lines.min()), int(lines.max()) + 1) for lines in (rows, columns))
    pixels = source.read((region[0], region[1]))
    return pixels[np.ix_(rows - region[0].start, columns - region[1].start)]


def _mirror(span: slice, length: int) -> NDArray[np.intp]:
    """Indices inside an axis for those of a span: d c b a | a b c d | d c b a."""
    places = np.arange(span.start, span.stop) % (2 * length)
    return np.asarray(np.minimum(places, 2 * length - 1 - places), np.intp)
