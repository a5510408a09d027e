"""Small objects dropped and small holes filled, in a mask that comes in bands."""

from collections.abc import Callable, Iterator
from itertools import tee

import numpy as np
from numpy.typing import NDArray

from tiledseg.objects import Mask
from tiledseg.slides.components import find_components

Bands = Callable[[], Iterator[Mask]]
"""Gives the bands (h, W) of a mask from the top, as often as it is called."""


def cleaned_bands(bands: Bands, *, smallest: int = 0, holes: int = 0) -> Bands:
    """The bands of what ``objects.cleaned`` makes of the whole mask.

    Args:
        bands: The mask; read once for each of the two kinds of cleaning that is asked for, and
            again each time the result is.
        smallest: Objects of fewer pixels are dropped; 0 or 1 keeps all.
        holes: Holes of at most so many pixels are filled; 0 fills none.
    """
    if smallest > 1:
        bands = _without_small(bands, smallest)
    return _filled(bands, holes) if holes > 0 else bands


def _without_small(bands: Bands, smallest: int) -> Bands:
    objects = find_components(bands())
    large: NDArray[np.bool_] = objects.areas >= smallest
    large[0] = False
    return lambda: (large[labels] for labels in objects.labels(bands()))


def _filled(bands: Bands, holes: int) -> Bands:
    gaps = find_components((~band for band in bands()), connectivity=4)
    small: NDArray[np.bool_] = (gaps.areas <= holes) & ~gaps.at_border
    small[0] = False

    def fill() -> Iterator[Mask]:
        masks, others = tee(bands())
        labels = gaps.labels(~band for band in others)
        return (band | small[names] for band, names in zip(masks, labels, strict=True))

    return fill
