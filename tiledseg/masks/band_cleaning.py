"""Small objects dropped and small holes filled, in a mask that comes in bands."""

from collections.abc import Callable, Iterator
from itertools import tee

import numpy as np
from numpy.typing import NDArray

from tiledseg.masks.components import find_components
from tiledseg.masks.instances import Areas, Mask

Bands = Callable[[], Iterator[Mask]]
"""Gives the bands (h, W) of a mask from the top, as often as it is called."""


def clean_bands(bands: Bands, *, smallest: int = 0, holes: int = 0) -> Bands:
    """The bands of what ``objects.cleaned`` makes of the whole mask.

    Args:
        bands: The mask; read once for each of the two kinds of cleaning that is asked for, and
            again each time the result is.
        smallest: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        holes: Holes of at most so many pixels are filled; 0 fills none.
    """
    if smallest > 1:
        bands = _without_small(bands, smallest)
    if holes <= 0:
        return bands
    pairs = with_hole_areas(bands, holes)
    return lambda: (mask | (areas > 0) for mask, areas in pairs())


def with_hole_areas(bands: Bands, holes: int) -> Callable[[], Iterator[tuple[Mask, Areas]]]:
    """The bands of a mask, each with those of what ``objects.hole_areas`` gives for all of it.

    Args:
        bands: The mask; read once if holes are wanted, and again each time the result is.
        holes: Pixels of the largest hole that is wanted.
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


def _without_small(bands: Bands, smallest: int) -> Bands:
    objects = find_components(bands())
    large: NDArray[np.bool_] = objects.areas >= smallest
    large[0] = False
    return lambda: (large[labels] for labels in objects.labels(bands()))
