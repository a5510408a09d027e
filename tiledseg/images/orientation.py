"""Orientation tags: how a picture is turned before it is shown, for EXIF and TIFF alike.

Cameras and scanners store rows as the sensor read them and write into tag 274 how viewers turn
them. What is drawn on a picture is drawn on what a viewer shows, so images and masks are turned.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiledseg.tiling.geometry.regions import Region

ORIENTATION_TAG = 274
_TRANSPOSED = frozenset({5, 6, 7, 8})
_ROWS_REVERSED = frozenset({3, 4, 7, 8})
"""After the transposition, if there is one."""
_COLUMNS_REVERSED = frozenset({2, 3, 6, 7})


def sound_orientation(value: object) -> int:
    """The orientation that viewers obey: 1 to 8, and 1 for what is none."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def exif_orientation(block: bytes) -> int:
    """The orientation in an EXIF block; 1 where it has none or cannot be read.

    Args:
        block: With or without its introduction of six bytes.
    """
    exif = Image.Exif()
    try:
        exif.load(block)
        return sound_orientation(exif.get(ORIENTATION_TAG))
    except Exception:  # noqa: BLE001 - struct.error, SyntaxError, OSError... viewers show it unturned
        return 1


def upright_shape(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Height and width as shown, of those as stored."""
    return (width, height) if orientation in _TRANSPOSED else (height, width)


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn pixels (H, W) or (H, W, C) as stored into what viewers show."""
    if orientation == 1:
        return pixels
    shown = pixels.swapaxes(0, 1) if orientation in _TRANSPOSED else pixels
    rows = slice(None, None, -1 if orientation in _ROWS_REVERSED else 1)
    columns = slice(None, None, -1 if orientation in _COLUMNS_REVERSED else 1)
    return np.ascontiguousarray(shown[rows, columns])


def stored_region(region: Region, height: int, width: int, orientation: int) -> Region:
    """Where the pixels of a region are stored.

    Args:
        region: In the picture as shown.
        height: Of the picture as shown.
        width: Of the picture as shown.
        orientation: 1 to 8.
    """
    rows, columns = region
    if orientation in _ROWS_REVERSED:
        rows = slice(height - rows.stop, height - rows.start)
    if orientation in _COLUMNS_REVERSED:
        columns = slice(width - columns.stop, width - columns.start)
    return (columns, rows) if orientation in _TRANSPOSED else (rows, columns)
