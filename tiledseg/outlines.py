"""Outlines of objects as polygons, and as GeoJSON that QuPath and other viewers open.

An outline runs along the edges of pixels, so that a polygon's area is the object's number of
pixels. Coordinates are (x, y) in pixels; the first pixel reaches from 0 to 1.
"""

import uuid
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.objects import Labels, Mask

Ring = list[tuple[int, int]]
Point = tuple[int, int]
_STEPS: tuple[Point, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up."""


def polygons(mask: Mask) -> list[list[Ring]]:
    """Outline a mask; pixels belong to one polygon where they share a side.

    Polygons are valid as the Simple Features standard has it (OGC 06-103r4, 6.1.11): rings do
    not cross, and touch in single points at most. Regions that share only a corner are polygons
    of their own.

    Args:
        mask: (H, W).

    Returns:
        For each polygon its outer ring (clockwise on the screen), then its holes (the other way
        round). Rings are closed: the last point is the first.
    """
    count, regions, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    found = []
    for region in range(1, count):
        left, top, width, height = (int(value) for value in stats[region, :4])
        piece = regions[top : top + height, left : left + width] == region
        rings = [[(x + left, y + top) for x, y in ring] for ring in _rings(piece)]
        found.append(sorted(rings, key=lambda ring: -twice_area(ring)))  # the outer one first
    return found


def twice_area(ring: Ring) -> int:
    """Twice the area in a closed ring, in pixels; negative where it runs counterclockwise."""
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise(ring))


def geojson(labels: Labels, table: pd.DataFrame, name: str, image: str) -> dict[str, Any]:
    """Objects as a GeoJSON feature collection (RFC 7946), with what QuPath looks for.

    Args:
        labels: (H, W), int32; 0 is background.
        table: One row per object with its ``label``; the other columns become measurements.
        name: Class of the objects.
        image: What sets these objects' ids apart from those of other images.

    Returns:
        A collection of detections; an object of pieces that share only corners is a
        MultiPolygon.
    """
    features = []
    for row in table.to_dict("records"):
        top, left = int(row["top"]), int(row["left"])
        box = np.s_[top : top + int(row["height"]), left : left + int(row["width"])]
        pieces = [
            [[[x + left, y + top] for x, y in ring] for ring in polygon]
            for polygon in polygons(labels[box] == row["label"])
        ]
        single = len(pieces) == 1
        measurements = {key: value for key, value in row.items() if key != "label"}
        features.append(
            {
                "type": "Feature",
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {image} {row['label']}")),
                "geometry": {
                    "type": "Polygon" if single else "MultiPolygon",
                    "coordinates": pieces[0] if single else pieces,
                },
                "properties": {
                    "objectType": "detection",
                    "name": str(row["label"]),
                    "classification": {"name": name, "color": [0, 158, 115]},
                    "measurements": measurements,
                },
            }
        )
    return {"type": "FeatureCollection", "features": features}


def _rings(region: NDArray[np.bool_]) -> list[Ring]:
    """Closed rings along the edges of a region connected by sides, foreground on the right.

    Where two pixels of the region touch at a corner alone, rings turn left: what lies between
    them becomes a hole that touches the outer ring in a point, and no ring meets itself.
    """
    ways = _ways(region)
    left = {(point, direction) for point, out in ways.items() for direction in out}
    rings = []
    while left:
        start = point, direction = min(left)
        corners: Ring = []
        while True:
            left.remove((point, direction))
            x, y = _STEPS[direction]
            point = (point[0] + x, point[1] + y)
            out = ways[point]
            turned = out[0] if len(out) == 1 else (direction - 1) % 4
            if turned != direction:
                corners.append(point)
            direction = turned
            if (point, direction) == start:
                break
        rings.append([*corners, corners[0]])
    return rings


def _ways(region: NDArray[np.bool_]) -> dict[Point, list[int]]:
    """From each corner of a pixel, the steps along the region's edge that leave it."""
    padded = np.pad(region, 1)
    inside = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))  # where the upper, right, ... edge begins
    ways: dict[Point, list[int]] = {}
    for direction, (neighbour, (x, y)) in enumerate(zip(neighbours, corners, strict=True)):
        rows, columns = np.nonzero(inside & ~neighbour)
        for point in zip((columns + x).tolist(), (rows + y).tolist(), strict=True):
            ways.setdefault(point, []).append(direction)
    return ways
