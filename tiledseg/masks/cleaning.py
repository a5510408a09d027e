"""Small objects dropped and small holes filled, in masks and label maps, whole or in bands."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee

import numpy as np
from numpy.typing import NDArray

from tiledseg.masks.classes import Labels, labels_of
from tiledseg.masks.components import find_components
from tiledseg.masks.instances import Mask

Areas = NDArray[np.uint32]
Bands = Callable[[], Iterator[Mask]]
"""Gives the bands (h, W) of a mask from the top, as often as it is called."""
LabelBands = Callable[[], Iterator[Labels]]
"""Gives the bands (h, W) of a label map from the top, as often as it is called."""

_JUST_UNDER = np.float32(127 / 255)
"""The largest probability that is background, also when stored in 8 bits."""
_JUST_THERE = np.float32(128 / 255)
"""The smallest probability that is foreground, also when stored in 8 bits."""


def clean(mask: Mask, *, smallest: int = 0, holes: int = 0) -> Mask:
    """Drop small objects, and fill small holes.

    Args:
        mask: (H, W).
        smallest: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        holes: Background of at most so many pixels, with foreground all round, is filled; 0
            fills nothing. What touches the border is no hole: it may go on beyond.

    Returns:
        (H, W), in memory of its own.
    """
    # One step after the other, since bands are computed again each time they are read.
    (kept,) = clean_bands(lambda: iter((mask,)), smallest=smallest)()
    (filled,) = clean_bands(lambda: iter((kept,)), holes=holes)()
    return filled.copy() if filled is mask else filled


def clean_bands(bands: Bands, *, smallest: int = 0, holes: int = 0) -> Bands:
    """The bands of what ``clean`` makes of the whole mask.

    Args:
        bands: The mask; read once for each of the two kinds of cleaning that is asked for, and
            again each time the result is.
        smallest: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        holes: Holes of at most so many pixels are filled; 0 fills none.
    """
    if smallest > 1:
        bands = _drop_small(bands, smallest)
    if holes <= 0:
        return bands
    pairs = _measure_holes(bands, holes)
    return lambda: (mask | (areas > 0) for mask, areas in pairs())


def _measure_holes(bands: Bands, holes: int) -> Callable[[], Iterator[tuple[Mask, Areas]]]:
    """The bands of a mask, and for each pixel the size of the small hole it lies in.

    Args:
        bands: The mask; read once if holes are wanted, and again each time the result is.
        holes: Pixels of the largest hole that is wanted.

    Returns:
        Gives (h, W) bool and (h, W) uint32 for each band: pixels of the hole, 0 where there is
        none.
    """
    if holes <= 0:
        return lambda: ((band, np.zeros(band.shape, np.uint32)) for band in bands())
    gaps = find_components((~band for band in bands()), connectivity=4)
    small = (gaps.areas <= holes) & ~gaps.at_border
    areas = np.where(small, gaps.areas, 0).astype(np.uint32)

    def pairs() -> Iterator[tuple[Mask, Areas]]:
        masks, others = tee(bands())
        labels = gaps.labels(~band for band in others)
        return ((band, areas[names]) for band, names in zip(masks, labels, strict=True))

    return pairs


def clean_label_bands(
    bands: LabelBands, labels: Sequence[int], *, smallest: int, holes: int
) -> LabelBands:
    """Drop small objects of all classes, then fill small holes in what is left.

    Args:
        bands: The label map, uint8; 0 is the background.
        labels: The classes that there may be, the background left out.
        smallest: Objects of fewer pixels become background; 0 or 1 keeps all.
        holes: Of a hole in a class, of at most so many pixels, what is background becomes that
            class: also what was an object before it was dropped. A hole in a hole is filled
            with the class next to it. 0 fills nothing.
    """
    kept = {
        label: _measure_holes(clean_bands(select_label(bands, label), smallest=smallest), holes)
        for label in labels
    }

    def merged_bands() -> Iterator[Labels]:
        parts = {label: pairs() for label, pairs in kept.items()}
        for band in bands():
            # One class at a time, so that the areas of all are never in memory together.
            yield merge_classes(
                band.shape, ((label, *next(pairs)) for label, pairs in parts.items())
            )

    return merged_bands


def merge_classes(shape: tuple[int, ...], classes: Iterable[tuple[int, Mask, Areas]]) -> Labels:
    """Labels of classes that each have a mask, with holes filled where no class is.

    Args:
        shape: Height and width.
        classes: Of each its label, its mask (H, W), and the area (H, W) of the small hole in that
            mask that a pixel lies in, 0 in none. Of several holes that a pixel lies in it takes
            the smallest one's class.

    Returns:
        (H, W), uint8.
    """
    labels, fillings = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    smallest = np.zeros(shape, np.uint32)
    for label, mask, areas in classes:
        labels[mask] = label
        closer = (areas > 0) & ((smallest == 0) | (areas < smallest))
        fillings[closer] = label
        smallest[closer] = areas[closer]
    np.copyto(labels, fillings, where=labels == 0)
    return labels


def clean_probability(
    probability: NDArray[np.float32], *, smallest: int, holes: int
) -> NDArray[np.float32]:
    """Change probabilities where cleaning changes what they are thresholded to.

    What is measured, stored, served and shown are probabilities, so that all of them agree on
    which objects there are.

    Args:
        probability: (H, W, K), in [0, 1].
        smallest: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        holes: Holes of at most so many pixels are filled; 0 fills none.

    Returns:
        (H, W, K) float32, whose labels are those that ``clean_label_bands`` gives. Of one class
        what is dropped is held just under 0.5, and what is filled just there. Of several the
        label before and the label after exchange their probabilities.
    """
    if smallest <= 1 and holes <= 0:
        return probability
    before = labels_of(probability)
    labels = range(1, max(2, probability.shape[2]))
    (after,) = clean_label_bands(lambda: iter((before,)), labels, smallest=smallest, holes=holes)()
    kept = probability.copy()
    if probability.shape[2] == 1:
        kept[(before > 0) & (after == 0), 0] = _JUST_UNDER
        kept[(before == 0) & (after > 0), 0] = _JUST_THERE
        return kept
    rows, columns = np.nonzero(before != after)
    old, new = before[rows, columns], after[rows, columns]
    largest = probability[rows, columns, old]
    kept[rows, columns, old] = probability[rows, columns, new]
    # Of equal probabilities the first label counts, which may be another one.
    tied = kept[rows, columns].max(axis=1) >= largest
    kept[rows, columns, new] = np.where(tied, np.nextafter(largest, np.float32(2)), largest)
    return kept


def select_label(bands: LabelBands, label: int) -> Bands:
    """The bands of the mask of one label."""

    def masks() -> Iterator[Mask]:
        return (band == label for band in bands())

    return masks


def _drop_small(bands: Bands, smallest: int) -> Bands:
    objects = find_components(bands())
    large: NDArray[np.bool_] = objects.areas >= smallest
    large[0] = False
    return lambda: (large[labels] for labels in objects.labels(bands()))
