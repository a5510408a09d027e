"""The whole of an image and what was found in it, small enough for a screen."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.labels import Labels
from tiledseg.slide_prediction.classes import LabelBands
from tiledseg.slides.canvas import BAND
from tiledseg.slides.sources import Slide

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
        images.append(_means(slide.read((rows, slice(0, width))), factor))
        labels.append(_commonest(band, factor, count))
        top = rows.stop
    return Overview(np.concatenate(images), np.concatenate(labels), factor)


def _means(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Means of squares; those at the lower and right border are completed by their last pixels."""
    height, width = pixels.shape[:2]
    rows, columns = -(-height // factor), -(-width // factor)
    below, beyond = rows * factor - height, columns * factor - width
    whole = cv2.copyMakeBorder(pixels, 0, below, 0, beyond, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _commonest(labels: Labels, factor: int, count: int) -> Labels:
    if factor == 1:
        return labels
    shares = [
        _means((labels == label).view(np.uint8) * np.uint8(255), factor) for label in range(count)
    ]
    return np.asarray(np.argmax(np.stack(shares), axis=0), np.uint8)
