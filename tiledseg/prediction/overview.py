"""The whole of an image and what was found in it, small enough for a screen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiledseg.images.canvas import BAND
from tiledseg.images.pyramid import means_of_squares
from tiledseg.images.sources import Slide
from tiledseg.masks.classes import Labels
from tiledseg.masks.cleaning import LabelBands

SIDE = 4096
"""Largest side, in pixels; smaller images are not reduced."""


@dataclass(frozen=True)
class Overview:
    """An image and its labels, both reduced by the same factor.

    Attributes:
        image: (h, w, 3), uint8, RGB; means of ``factor`` x ``factor`` pixels.
        labels: (h, w), uint8; the label that most of those pixels have.
        factor: A power of two.
    """

    image: NDArray[np.uint8]
    labels: Labels
    factor: int


def take_overview(slide: Slide, bands: LabelBands, count: int, side: int = SIDE) -> Overview:
    """Reduce an image and its labels, a band of rows at a time.

    Args:
        slide: The image.
        bands: Its labels.
        count: Labels there may be, the background included.
        side: Largest side of the overview, in pixels.

    Raises:
        ImageError: The image cannot be read.
    """
    height, width, _ = slide.shape
    factor = 1
    while -(-max(height, width) // factor) > side and factor < BAND:
        factor *= 2
    images, labels, top = [], [], 0
    for band in bands():
        rows = slice(top, top + len(band))
        images.append(means_of_squares(slide.read((rows, slice(0, width))), factor))
        labels.append(_commonest(band, factor, count))
        top = rows.stop
    return Overview(np.concatenate(images), np.concatenate(labels), factor)


def _commonest(labels: Labels, factor: int, count: int) -> Labels:
    if factor == 1:
        return labels
    shares = [
        means_of_squares((labels == label).view(np.uint8) * np.uint8(255), factor)
        for label in range(count)
    ]
    return np.asarray(np.argmax(np.stack(shares), axis=0), np.uint8)
