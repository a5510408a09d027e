"""A slide under work: the amounts of stain so far, the labels, and grains to paint with."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Window = tuple[slice, slice]

EOSIN, AZURE, PLASMA, DIRT = range(4)
"""The stains: pink, purple, pale lilac, brown."""
RED_CELL, CYTOPLASM, NUCLEUS = 1, 2, 3
"""Labels; 0 is the background."""
GRAIN_SIDE = 512


class Slide:
    """The amounts of stain so far, the label of every pixel, and how to reach a piece of them."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size
        self.stain = np.zeros((size, size, 4), np.float32)
        self.labels = np.zeros((size, size), np.uint8)
        self.clumps = grain(rng, 2.4)
        self.folds = grain(rng, 9.0)

    def window(self, center: Floats, reach: float) -> tuple[Window, Floats, Floats]:
        """The pixels within ``reach`` of (row, column), and their offsets from it."""
        slices, offsets = [], []
        for middle in (float(center[0]), float(center[1])):
            start = min(max(int(middle - reach), 0), self.size)
            stop = max(min(int(middle + reach) + 2, self.size), start)
            slices.append(slice(start, stop))
            offsets.append(np.arange(start, stop, dtype=np.float32) - np.float32(middle))
        return (slices[0], slices[1]), offsets[0][:, None], offsets[1][None, :]

    def crop(self, grain: Floats, window: Window) -> Floats:
        """A random piece of a grain, of the window's shape."""
        height, width = (part.stop - part.start for part in window)
        top, left = self.rng.integers(0, GRAIN_SIDE - max(height, width), 2)
        return grain[top : top + height, left : left + width]

    def add(self, stain: int, window: Window, amount: NDArray[np.floating[Any]]) -> None:
        """Add stain to the pixels of a window."""
        self.stain[window][..., stain] += amount.astype(np.float32, copy=False)

    def mark(self, label: int, window: Window, inside: NDArray[np.bool_]) -> int:
        """Label the pixels of a window that are not of a higher label; counts the new ones."""
        fresh = inside & (self.labels[window] < label)
        self.labels[window][fresh] = label
        return int(np.count_nonzero(fresh))

    def scatter(self, per_megapixel: float) -> Floats:
        """Centers strewn evenly over the slide; (n, 2) rows and columns."""
        count = self.rng.poisson(per_megapixel * self.size**2 / 1e6)
        return self.rng.uniform(0, self.size, (count, 2)).astype(np.float32)


def grain(rng: np.random.Generator, sigma: float) -> Floats:
    """Noise of unit variance, smooth over ``sigma`` pixels; a square of GRAIN_SIDE."""
    noise = cv2.GaussianBlur(
        rng.standard_normal((GRAIN_SIDE, GRAIN_SIDE), np.float32), (0, 0), sigma
    )
    return np.asarray(noise / noise.std(), np.float32)


def cover(distance: Floats, edge: float) -> Floats:
    """1 where the signed distance is negative, 0 outside, changing over ``edge`` pixels."""
    ramp = np.clip(0.5 - distance / np.float32(edge), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)
