"""Ever smaller copies of a picture, made while the picture itself is written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.images.canvas import BAND, Canvas
from tiledseg.images.pixel_size import PixelSize

LEAST_LEVEL_SIDE = 512
"""Copies are made until both sides are at most this, in pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture that is about to be written, band by band.

    Attributes:
        height: Rows, in pixels.
        width: Columns, in pixels.
        dtype: Type of a pixel.
        bands: (h, W) from top to bottom, each of ``BAND`` rows but the last.
        averages: Whether smaller copies hold means; else every second pixel, for values that
            are names.
        pixel_size: Of the image that it belongs to, if known.
        name: What viewers show.
        identity: What decides on every pixel; from it comes the UUID of an OME-TIFF, so that the
            same picture is the same file.
        palette: (256, 3) uint8 RGB, colors of the values where they are labels of classes; PNG
            alone keeps it.
    """

    height: int
    width: int
    dtype: Any
    bands: Iterable[NDArray[Any]]
    averages: bool
    pixel_size: PixelSize | None
    name: str
    identity: str
    palette: NDArray[np.uint8] | None = None


def level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of a picture and its copies, each half of the one before, rounded up."""
    shapes = [(height, width)]
    while max(shapes[-1]) > LEAST_LEVEL_SIDE:
        shapes.append(((shapes[-1][0] + 1) // 2, (shapes[-1][1] + 1) // 2))
    return shapes


def copy_bands(
    bands: Iterable[NDArray[Any]], smaller: Canvas | None, averages: bool
) -> Iterator[NDArray[Any]]:
    """Pass bands on, leaving their copy at half the size behind.

    Args:
        bands: (h, W) each; h is even but for the last.
        smaller: Where the copy goes; None makes none.
        averages: See ``Picture``.
    """
    top = 0
    for band in bands:
        if smaller is not None:
            half = _halve(band, averages)
            smaller.write((slice(top, top + len(half)), slice(0, half.shape[1])), half)
            top += len(half)
        yield band


def build_levels(picture: Picture, folder: Path) -> Iterator[tuple[tuple[int, int], Iterator[Any]]]:
    """The picture and its copies, largest first; each must be taken whole before the next.

    Args:
        picture: What to copy.
        folder: For copies on their way, which are removed when they have been passed on.

    Yields:
        The size of a level, and its bands of ``BAND`` rows.
    """
    shapes = level_shapes(picture.height, picture.width)
    source: Canvas | None = None
    for number, shape in enumerate(shapes):
        following = None
        if number + 1 < len(shapes):
            place = folder / f"level-{number + 1}"
            place.unlink(missing_ok=True)
            following = Canvas(place, *shapes[number + 1], picture.dtype)
        bands = picture.bands if source is None else source.bands(BAND)
        yield shape, copy_bands(bands, following, picture.averages)
        if source is not None:
            source.close()
            source.path.unlink()
        source = following


def means_of_squares(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    """Means of squares; those at the lower and right border are completed by their last pixels.

    Args:
        pixels: (H, W) or (H, W, 3).
        side: Of a square, in pixels.

    Returns:
        (ceil(H / side), ceil(W / side)), with the same channels and type.
    """
    height, width = pixels.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    below, beyond = rows * side - height, columns * side - width
    whole = cv2.copyMakeBorder(pixels, 0, below, 0, beyond, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA))


def _halve(band: NDArray[Any], averages: bool) -> NDArray[Any]:
    if not averages:
        return band[::2, ::2]
    return means_of_squares(band, 2)
