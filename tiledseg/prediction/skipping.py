"""Tiles that are left out, and the record of them."""

from dataclasses import dataclass
from typing import Any

from tiledseg.prediction.tile_selection import (
    GLASS_BRIGHTNESS,
    GLASS_SATURATION,
    REDUCTION,
    RegionOfInterest,
    tiles_of_glass,
    tiles_outside,
)
from tiledseg.tiling.geometry.grid import Grid
from tiledseg.tiling.geometry.regions import RegionSource


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
