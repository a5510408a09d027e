"""Where background has the colors of objects: dirt, smudges, clumps of platelets.

Such places are rare. Crops drawn anywhere seldom show them, so that a network never learns to
leave them alone, and each one it takes for an object costs an image with few objects dearly.
They are found from colors alone, without a network: the same crops are drawn on every machine,
in a first training and in one that is resumed.
"""

import math
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.data.sampling.crops import object_points
from tiledseg.masks.classes import Labels, foreground
from tiledseg.masks.cleaning import clean

_BITS = 4
"""Bits kept of each channel: 16 shades, 4096 colors."""
_LONGEST = 1024
"""Pixels of the longer side at which colors are compared; averages hide noise and JPEG blocks."""
_RIM = 3
"""Reduced pixels around objects that are left out: outlines are drawn by hand."""
_LEAST_AREA = 0.25
"""Area of the smallest region that counts, as a fraction of an object's median area."""


class ColorContrast:
    """How much more common each color is in objects than beside them.

    Args:
        pairs: Images (H, W, C), uint8, 1 to 3 channels, with their label maps (H, W), uint8; may
            be mapped from disk. Every image counts the same, and ``IGNORED`` pixels do not.

    Raises:
        ValueError: There are no pairs, or the channels differ.
    """

    def __init__(self, pairs: Iterable[tuple[NDArray[np.uint8], Labels]]) -> None:
        inside: list[NDArray[np.float64]] = []
        beside: list[NDArray[np.float64]] = []
        areas: list[NDArray[np.float64]] = []
        channels: set[int] = set()
        for image, labels in pairs:
            channels.add(image.shape[2])
            colors, reduced = _reduce_colors(image), _reduce_labels(labels)
            objects = foreground(reduced)
            inside.append(_shares(colors[objects], image.shape[2]))
            beside.append(_shares(colors[reduced == 0], image.shape[2]))
            factor = _factor(labels.shape)
            areas.append(_areas(objects.view(np.uint8)) * factor**2)
        if len(channels) != 1:
            raise ValueError(f"expected images of one number of channels, got {sorted(channels)}")
        more = np.sum(inside, axis=0) - np.sum(beside, axis=0)
        self._like_objects: NDArray[np.bool_] = more > 0
        found = np.concatenate(areas)
        self._smallest = _LEAST_AREA * float(np.median(found)) if len(found) else 0.0

    def points(self, image: NDArray[np.uint8], labels: Labels) -> NDArray[np.int32]:
        """A few pixels of every region of an image that looks like an object and is none.

        Args:
            image: (H, W, C), uint8, with the channels of the first images.
            labels: (H, W), uint8; nothing is looked for where they are not 0.

        Returns:
            (regions, 8, 2), int32, rows and columns; regions in reading order.
        """
        like = self._like_objects[_reduce_colors(image)].astype(np.uint8)
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _RIM + 1, 2 * _RIM + 1))
        like[np.asarray(cv2.dilate(_reduce_labels(labels), disk)) > 0] = 0
        # Thin bridges, as between red cells that touch, would join all of them to one region.
        like = np.asarray(cv2.morphologyEx(like, cv2.MORPH_OPEN, disk), np.uint8)
        factor = _factor(labels.shape)
        regions = clean(like > 0, smallest=math.ceil(self._smallest / factor**2))
        points = ((object_points(regions.astype(np.uint8)) + 0.5) * factor).astype(np.int32)
        return np.minimum(points, np.array(labels.shape, np.int32) - 1)


def _factor(shape: tuple[int, ...]) -> float:
    return max(1.0, max(shape[:2]) / _LONGEST)


def _reduce(pixels: NDArray[np.uint8], method: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    factor = _factor(pixels.shape)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=method)
    return np.asarray(small).reshape(*small.shape[:2], *pixels.shape[2:])  # gray loses its axis


def _reduce_labels(labels: Labels) -> Labels:
    return _reduce(labels, cv2.INTER_NEAREST_EXACT)


def _reduce_colors(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of each pixel's color, (h, w), int64."""
    shades = _reduce(image, cv2.INTER_AREA) >> (8 - _BITS)
    return np.asarray(shades.astype(np.int64) @ (1 << (_BITS * np.arange(image.shape[2]))))


def _shares(colors: NDArray[np.int64], channels: int) -> NDArray[np.float64]:
    counts = np.bincount(colors, minlength=2 ** (_BITS * channels))
    return np.asarray(counts / max(1, len(colors)), np.float64)


def _areas(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    stats = cv2.connectedComponentsWithStats(mask, connectivity=8)[2]
    return np.asarray(stats[1:, cv2.CC_STAT_AREA], np.float64)
