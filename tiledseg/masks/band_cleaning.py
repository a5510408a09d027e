"""Small objects dropped and small holes filled, in a mask that comes in bands."""

from collections.abc import Callable, Iterator
from itertools import tee

import numpy as np
from numpy.typing import NDArray

from tiledseg.masks.components import find_components
from tiledseg.masks.instances import Areas, Mask

Bands = Callable[[], Iterator[Mask]]
"""Gives the bands (h, W) of a mask from the top, as often as it is called."""


def clean_bands(bands: Bands, *, min_object_area: int = 0, max_hole_area: int = 0) -> Bands:
    """The bands of what ``objects.cleaned`` makes of the whole mask.

    Args:
        bands: The mask; read once for each of the two kinds of cleaning that is asked for, and
            again each time the result is.
        min_object_area: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        max_hole_area: Holes of at most so many pixels are filled; 0 fills none.
    """
    if min_object_area > 1:
        bands = _without_small(bands, min_object_area)
    if max_hole_area <= 0:
        return bands
    pairs = with_hole_areas(bands, max_hole_area)
    return lambda: (mask | (areas > 0) for mask, areas in pairs())


def with_hole_areas(bands: Bands, max_hole_area: int) -> Callable[[], Iterator[tuple[Mask, Areas]]]:
    """The bands of a mask, each with those of what ``objects.hole_areas`` gives for all of it.

    Args:
        bands: The mask; read once if holes are wanted, and again each time the result is.
        max_hole_area: Pixels of the largest hole that is wanted.
    """
    if max_hole_area <= 0:
        return lambda: ((band, np.zeros(band.shape, np.uint32)) for band in bands())
    gaps = find_components((~band for band in bands()), connectivity=4)
    small = (gaps.areas <= max_hole_area) & ~gaps.at_border
    areas = np.where(small, gaps.areas, 0).astype(np.uint32)

    def pairs() -> Iterator[tuple[Mask, Areas]]:
        masks, others = tee(bands())
        labels = gaps.labels(~band for band in others)
        return ((band, areas[names]) for band, names in zip(masks, labels, strict=True))

    return pairs


def _without_small(bands: Bands, min_object_area: int) -> Bands:
    objects = find_components(bands())
    large: NDArray[np.bool_] = objects.areas >= min_object_area
    large[0] = False
    return lambda: (large[labels] for labels in objects.labels(bands()))
