"""Tiled inference."""

from typing import Annotated, Literal

from pydantic import Field

from tiledseg.config.section import Section


class TilingSettings(Section):
    """Tiled inference."""

    mode: Literal["auto", "exact", "blend"] = "auto"
    """exact: halo and stride from the network's graph; the same answer as one whole pass. blend:
    overlapping windows of image.size, their probabilities averaged. auto: exact where the graph
    allows it, else blend."""
    max_tile: Annotated[int, Field(ge=32, le=16384)] = 1536
    """Side of the largest square tile, halo included, in pixels. Tiles are fitted to the image
    below its area, so that one side may be longer. OpenVINO needs less memory for a pass, and its
    tiles may have as many more pixels as it spares."""
    memory_gigabytes: Annotated[float, Field(gt=0.0)] | None = None
    """Memory for the passes of a tile (estimated), in gigabytes; tiles become smaller to keep it.
    Windows of mode blend do not: fewer go together, and one that needs more is refused.
    null: max_tile alone bounds them."""
    overlap: Annotated[float, Field(ge=0.0, le=4096.0)] = 0.25
    """Overlap of windows in mode blend: below 1 a fraction of their side, from 1 on pixels."""
    window: Literal["hann", "gaussian"] = "hann"
    """How a window's probabilities lose weight towards its border in mode blend."""
    tta: Literal[1, 2, 4, 8] = 1
    """Mirror images and turns whose probabilities are averaged (test-time augmentation), for
    tiled and whole inference alike; time grows with their number."""
    min_object_area: Annotated[int, Field(ge=0)] = 0
    """Objects of fewer pixels are none, in tiled and whole inference alike: their probabilities
    are held just under 0.5."""
    max_hole_area: Annotated[int, Field(ge=0)] = 0
    """Holes of at most so many pixels are filled, after small objects are dropped, in tiled and
    resized inference alike. 0 fills none."""
