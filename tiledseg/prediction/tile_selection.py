"""Which tiles are worth predicting: those in a region of interest, those that are not glass."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import ImageError
from tiledseg.images.reading import read_mask
from tiledseg.masks.instances import Mask
from tiledseg.tiling.geometry.grid import Grid
from tiledseg.tiling.geometry.regions import Region, RegionSource

GLASS_BRIGHTNESS = 200
"""Glass is at least so bright: the largest of a pixel's channels, 0 to 255."""
GLASS_SATURATION = 0.1
"""Glass is at most so colorful: 1 minus the smallest channel over the largest."""
REDUCTION = 8
"""Pixels are averaged over squares of this side first, so that noise is no tissue."""


class RegionOfInterest:
    """A mask at any resolution, stretched over an image.

    Args:
        mask: (h, w), where to look.
        height: Rows of the image, in pixels.
        width: Its columns.
    """

    def __init__(self, mask: Mask, height: int, width: int) -> None:
        self._mask = mask
        self._rows = _nearest(mask.shape[0], height)
        self._columns = _nearest(mask.shape[1], width)

    @classmethod
    def read(cls, path: Path, height: int, width: int) -> "RegionOfInterest":
        """Read a mask for an image of this size.

        Raises:
            ImageError: The file cannot be read, has another aspect ratio, or is empty.
        """
        mask = read_mask(path)
        scale = max(height, width) / max(mask.shape)
        apart = max(abs(mask.shape[0] * scale - height), abs(mask.shape[1] * scale - width))
        if apart > max(2 * scale, 0.01 * max(height, width)):
            raise ImageError(
                f"{path}: is {mask.shape[1]} x {mask.shape[0]} pixels, which is not the shape of "
                f"an image of {width} x {height}; give a mask of the whole image, at any scale"
            )
        if not mask.any():
            raise ImageError(f"{path}: has no foreground; mark where to look, brighter than 127")
        return cls(mask, height, width)

    def inside(self, region: Region) -> Mask:
        """Which pixels of a rectangle of the image are inside, (h, w)."""
        rows, columns = region
        return np.asarray(self._mask[np.ix_(self._rows[rows], self._columns[columns])])


def is_glass(pixels: NDArray[np.uint8]) -> bool:
    """Whether nothing but empty glass is seen.

    Args:
        pixels: (h, w, 3) RGB of a bright-field microscope, uint8.
    """
    height, width = (max(1, side // REDUCTION) for side in pixels.shape[:2])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    most, least = small.max(axis=2).astype(np.float32), small.min(axis=2).astype(np.float32)
    colorless = most - least <= GLASS_SATURATION * most
    return bool((colorless & (most >= GLASS_BRIGHTNESS)).all())


def tiles_outside(grid: Grid, interest: RegionOfInterest) -> list[int]:
    """Indices of the tiles of which nothing is kept."""
    return [index for index, tile in enumerate(grid.tiles) if not interest.inside(tile.core).any()]


def tiles_of_glass(grid: Grid, source: RegionSource, but: Collection[int] = ()) -> list[int]:
    """Indices of the tiles, ``but`` some, whose cores show only glass; each is read for it."""
    known = set(but)
    return [
        index
        for index, tile in enumerate(grid.tiles)
        if index not in known and is_glass(source.read(tile.core))
    ]


@dataclass(frozen=True)
class Skipped:
    """Indices of tiles that are not predicted; they are background.

    Attributes:
        tiles: How many tiles there are in all.
        outside: Those outside the region of interest.
        glass: Those of empty glass.
    """

    tiles: int
    outside: tuple[int, ...] = ()
    glass: tuple[int, ...] = ()
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    """Of every tile that is left out, in the order of ``outside`` and ``glass``: top, left,
    height and width of what it would have given, in pixels."""

    @property
    def all(self) -> frozenset[int]:
        """Those left out for either reason."""
        return frozenset((*self.outside, *self.glass))

    def record(self) -> dict[str, Any]:
        """For a file beside the output."""
        parts = zip((*self.outside, *self.glass), self.boxes, strict=True)
        names = ("top", "left", "height", "width")
        boxes = {index: dict(zip(names, box, strict=True)) for index, box in parts}
        return {
            "tiles": self.tiles,
            "outside_region_of_interest": [boxes[index] for index in self.outside],
            "background": [boxes[index] for index in self.glass],
            "background_rule": {
                "brightness_at_least": GLASS_BRIGHTNESS,
                "saturation_at_most": GLASS_SATURATION,
                "averaged_over_pixels": REDUCTION,
            },
        }


def choose_tiles(
    grid: Grid, source: RegionSource, interest: RegionOfInterest | None, skip_background: bool
) -> Skipped:
    """Decide which tiles of an image to leave out.

    Args:
        grid: The tiles.
        source: The image; read once more where background is to be skipped.
        interest: Where to look; None is everywhere.
        skip_background: Whether tiles of empty glass are left out.
    """
    outside = () if interest is None else tiles_outside(grid, interest)
    glass = tiles_of_glass(grid, source, outside) if skip_background else ()
    boxes = []
    for index in (*outside, *glass):
        rows, columns = grid.tiles[index].core
        boxes.append(
            (rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        )
    return Skipped(len(grid.tiles), tuple(outside), tuple(glass), tuple(boxes))


def _nearest(few: int, many: int) -> NDArray[np.intp]:
    """For each of ``many`` pixels the one of ``few`` over the same length that its middle is in."""
    return np.minimum(((np.arange(many) + 0.5) * few / many).astype(np.intp), few - 1)
