"""Objects of a mask: what is too small dropped, holes filled, each one labeled and measured."""

from typing import Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
InstanceLabels = NDArray[np.int32]
Areas = NDArray[np.uint32]
_JUST_UNDER = np.float32(127 / 255)
"""The largest probability that is background, also when stored in 8 bits."""
_JUST_ABOVE = np.float32(128 / 255)
"""The smallest probability that is foreground, also when stored in 8 bits."""


def clean(mask: Mask, *, min_object_area: int = 0, max_hole_area: int = 0) -> Mask:
    """Drop small objects, and fill small holes.

    Args:
        mask: (H, W).
        min_object_area: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        max_hole_area: Background of at most so many pixels, with foreground all round, is filled; 0
            fills nothing. What touches the border is no hole: it may go on beyond.

    Returns:
        (H, W), in memory of its own.
    """
    kept = mask.copy()
    if min_object_area > 1:
        areas, labels = _areas(mask, connectivity=8)
        kept &= (areas >= min_object_area)[labels]
    if max_hole_area > 0:
        kept |= hole_areas(kept, max_hole_area) > 0
    return kept


def hole_areas(mask: Mask, max_hole_area: int) -> Areas:
    """Pixels of the hole that each pixel lies in, where it is small.

    Args:
        mask: (H, W).
        max_hole_area: Pixels of the largest hole that is wanted; see ``clean``.

    Returns:
        (H, W), uint32; 0 where there is no such hole.
    """
    if max_hole_area <= 0:
        return np.zeros(mask.shape, np.uint32)
    areas, labels = _areas(~mask, connectivity=4)
    small = areas <= max_hole_area
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        small[border] = False
    small[0] = False
    return np.where(small, areas, 0).astype(np.uint32)[labels]


def without_small(probability: NDArray[np.float32], min_object_area: int) -> NDArray[np.float32]:
    """Hold the probabilities of objects that are too small to be one just under 0.5.

    What is measured, stored, served and shown are probabilities, so that all of them agree on
    which objects there are.

    Args:
        probability: (H, W, K), in [0, 1].
        min_object_area: Objects of fewer pixels are too small; 0 or 1 keeps all.

    Returns:
        (H, W, K) float32; its mask is ``clean(..., min_object_area=...)``. Of several classes each
        is cleaned, and what is too small exchanges its probability with the background.
    """
    if min_object_area <= 1:
        return probability
    kept = probability.copy()
    if probability.shape[2] == 1:
        mask = probability[..., 0] >= 0.5
        kept[mask & ~clean(mask, min_object_area=min_object_area), 0] = _JUST_UNDER
        return kept
    labels = probability.argmax(axis=2)
    for label in range(1, probability.shape[2]):
        mask = labels == label
        small = mask & ~clean(mask, min_object_area=min_object_area)
        kept[small, 0] = probability[small, label]
        kept[small, label] = probability[small, 0]
    return kept


def with_filled_holes(probability: NDArray[np.float32], max_hole_area: int) -> NDArray[np.float32]:
    """Hold the probabilities in small holes just above 0.5.

    Args:
        probability: (H, W, K), in [0, 1].
        max_hole_area: Pixels of the largest hole that is filled; 0 fills none.

    Returns:
        (H, W, K) float32; its mask is ``clean(..., max_hole_area=...)``. Of several classes the
        background in a hole exchanges its probability with the class around it; of several
        holes that a pixel lies in the smallest one's counts.
    """
    if max_hole_area <= 0:
        return probability
    filled = probability.copy()
    if probability.shape[2] == 1:
        filled[hole_areas(probability[..., 0] >= 0.5, max_hole_area) > 0, 0] = _JUST_ABOVE
        return filled
    labels = probability.argmax(axis=2)
    smallest = np.full(labels.shape, np.iinfo(np.uint32).max, np.uint32)
    for label in range(1, probability.shape[2]):
        areas = hole_areas(labels == label, max_hole_area)
        inside = (areas > 0) & (areas < smallest) & (labels == 0)
        smallest[inside] = areas[inside]
        filled[inside] = probability[inside]
        filled[inside, 0] = probability[inside, label]
        filled[inside, label] = probability[inside, 0]
    return filled


def label_instances(mask: Mask) -> InstanceLabels:
    """Number the objects of a mask from 1, in reading order; background is 0.

    Pixels belong together where they share a side or a corner.

    Args:
        mask: (H, W).

    Returns:
        (H, W), int32.
    """
    return find_connected(mask, connectivity=8)[1]


def find_connected(mask: Mask, *, connectivity: Literal[4, 8]) -> tuple[int, InstanceLabels]:
    """How many regions a mask has, and their labels from 1, in the order of their first pixels.

    Args:
        mask: (H, W).
        connectivity: 8 where pixels that share a corner belong together, else 4.

    Returns:
        The number, and (H, W) int32; 0 is what belongs to none.
    """
    # This algorithm (Wu, Otoo & Suzuki 2009) scans line by line and keeps the smallest of the
    # labels that meet, so its labels are in reading order; OpenCV's faster ones look at blocks.
    count, labels = cv2.connectedComponentsWithAlgorithm(
        mask.astype(np.uint8), connectivity, cv2.CV_32S, cv2.CCL_WU
    )
    return count - 1, np.asarray(labels, np.int32)


def measure(labels: InstanceLabels, probability: NDArray[np.float32]) -> pd.DataFrame:
    """Measure every object.

    Args:
        labels: (H, W), of ``label_instances``.
        probability: (H, W), in [0, 1].

    Returns:
        One row per object: label, area (pixels), centroid_row and centroid_column (pixels, 0 is
        the middle of the first), top, left, height and width of its box (pixels), and
        mean_probability.
    """
    measurements = Measurements(int(labels.max(initial=0)))
    measurements.add(labels, probability)
    return measurements.table()


class Measurements:
    """Sums over objects, of an image that may come in bands of rows.

    Args:
        count: Number of objects; their labels are 1 to ``count``.
    """

    def __init__(self, count: int) -> None:
        self._areas = np.zeros(count + 1, np.int64)
        self._sums = np.zeros((3, count + 1))
        self._lows = np.full((2, count + 1), np.iinfo(np.int64).max)
        self._highs = np.zeros((2, count + 1), np.int64)

    def add(self, labels: InstanceLabels, probability: NDArray[np.float32], top: int = 0) -> None:
        """Take a band.

        Args:
            labels: (h, W); 0 is background.
            probability: (h, W), in [0, 1].
            top: Row of the image that the band begins with.
        """
        place = np.flatnonzero(labels)
        rows, columns = np.divmod(place, labels.shape[1])
        rows += top
        met, names = np.unique(labels.ravel()[place], return_inverse=True)
        self._areas[met] += np.bincount(names, minlength=len(met))
        for total, values in zip(
            self._sums, (rows, columns, probability.ravel()[place]), strict=True
        ):
            total[met] += np.bincount(names, values, len(met))
        for low, high, index in zip(self._lows, self._highs, (rows, columns), strict=True):
            np.minimum.at(low, met[names], index)
            np.maximum.at(high, met[names], index + 1)

    def table(self) -> pd.DataFrame:
        """What ``measure`` returns."""
        means = self._sums / np.maximum(self._areas, 1)
        sizes = self._highs - self._lows
        table = pd.DataFrame(
            {
                "label": np.arange(len(self._areas)),
                "area": self._areas,
                "centroid_row": means[0],
                "centroid_column": means[1],
                "top": self._lows[0],
                "left": self._lows[1],
                "height": sizes[0],
                "width": sizes[1],
                "mean_probability": means[2],
            }
        )
        return table.iloc[1:].reset_index(drop=True)


def _areas(mask: Mask, *, connectivity: Literal[4, 8]) -> tuple[NDArray[np.int64], InstanceLabels]:
    """Pixels of each region, those of the rest at 0, and the map of regions."""
    count, labels = find_connected(mask, connectivity=connectivity)
    return np.bincount(labels.ravel(), minlength=count + 1), labels
