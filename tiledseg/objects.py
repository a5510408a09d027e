"""Objects of a mask: what is too small dropped, holes filled, each one labelled and measured."""

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]
_JUST_UNDER = np.float32(127 / 255)
"""The largest probability that is background, also when stored in 8 bits."""


def cleaned(mask: Mask, *, smallest: int = 0, holes: int = 0) -> Mask:
    """Drop small objects, and fill small holes.

    Args:
        mask: (H, W).
        smallest: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        holes: Background of at most so many pixels, with foreground all round, is filled; 0
            fills nothing. What touches the border is no hole: it may go on beyond.

    Returns:
        (H, W), in memory of its own.
    """
    kept = mask.copy()
    if smallest > 1:
        areas, labels = _areas(mask, connectivity=8)
        kept &= (areas >= smallest)[labels]
    if holes > 0:
        areas, labels = _areas(~kept, connectivity=4)
        small = areas <= holes
        for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            small[border] = False
        small[0] = False
        kept |= small[labels]
    return kept


def without_small(probability: NDArray[np.float32], smallest: int) -> NDArray[np.float32]:
    """Hold the probabilities of objects that are too small to be one just under 0.5.

    What is measured, stored, served and shown are probabilities, so that all of them agree on
    which objects there are.

    Args:
        probability: (H, W, K), in [0, 1].
        smallest: Objects of fewer pixels are too small; 0 or 1 keeps all.

    Returns:
        (H, W, K) float32; its mask is ``cleaned(..., smallest=smallest)``. Of several classes
        each is cleaned, and what is too small exchanges its probability with the background.
    """
    if smallest <= 1:
        return probability
    kept = probability.copy()
    if probability.shape[2] == 1:
        mask = probability[..., 0] >= 0.5
        kept[mask & ~cleaned(mask, smallest=smallest), 0] = _JUST_UNDER
        return kept
    labels = probability.argmax(axis=2)
    for label in range(1, probability.shape[2]):
        mask = labels == label
        small = mask & ~cleaned(mask, smallest=smallest)
        kept[small, 0] = probability[small, label]
        kept[small, label] = probability[small, 0]
    return kept


def labelled(mask: Mask) -> Labels:
    """Number the objects of a mask from 1, in reading order; background is 0.

    Pixels belong together where they share a side or a corner.

    Args:
        mask: (H, W).

    Returns:
        (H, W), int32.
    """
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    found, firsts = np.unique(labels, return_index=True)
    order = found[np.argsort(firsts, kind="stable")]
    order = order[order > 0]
    names = np.zeros(len(order) + 1, np.int32)
    names[order] = np.arange(1, len(order) + 1)
    return np.asarray(names[labels], np.int32)


def measured(labels: Labels, probability: NDArray[np.float32]) -> pd.DataFrame:
    """Measure every object.

    Args:
        labels: (H, W), of ``labelled``.
        probability: (H, W), in [0, 1].

    Returns:
        One row per object: label, area (pixels), centroid_row and centroid_column (pixels, 0 is
        the middle of the first), top, left, height and width of its box (pixels), and
        mean_probability.
    """
    count = int(labels.max(initial=0)) + 1
    place = np.flatnonzero(labels)
    rows, columns = np.divmod(place, labels.shape[1])
    names = labels.ravel()[place]
    areas = np.bincount(names, minlength=count)

    def mean(values: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
        return np.bincount(names, values, count) / np.maximum(areas, 1)

    boxes = np.zeros((4, count), np.int64)
    boxes[:2] = max(labels.shape)
    for low, high, index in ((0, 2, rows), (1, 3, columns)):
        np.minimum.at(boxes[low], names, index)
        np.maximum.at(boxes[high], names, index + 1)
    table = pd.DataFrame(
        {
            "label": np.arange(count),
            "area": areas,
            "centroid_row": mean(rows),
            "centroid_column": mean(columns),
            "top": boxes[0],
            "left": boxes[1],
            "height": boxes[2] - boxes[0],
            "width": boxes[3] - boxes[1],
            "mean_probability": mean(probability.ravel()[place]),
        }
    )
    return table.iloc[1:].reset_index(drop=True)


def _areas(mask: Mask, *, connectivity: int) -> tuple[NDArray[np.int64], Labels]:
    """Pixels of each region, those of the rest at 0, and the map of regions."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
    return np.bincount(labels.ravel(), minlength=count), np.asarray(labels, np.int32)
