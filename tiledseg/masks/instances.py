"""Objects of a mask: each one labeled and measured."""

from typing import Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
InstanceLabels = NDArray[np.int32]


def label_instances(mask: Mask) -> InstanceLabels:
    """Number the objects of a mask from 1, in reading order; background is 0.

    Pixels belong together where they share a side or a corner.

    Args:
        mask: (H, W).

    Returns:
        (H, W), int32.
    """
    return label_regions(mask, connectivity=8)[1]


def label_regions(mask: Mask, *, connectivity: Literal[4, 8]) -> tuple[int, InstanceLabels]:
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
