"""Outlines of objects as polygons, and as GeoJSON that QuPath and other viewers open.

An outline runs along the edges of pixels, so that a polygon's area is the object's number of
pixels. Coordinates are (x, y) in pixels; the first pixel reaches from 0 to 1.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.masks.classes import Color, class_colors
from tiledseg.masks.instances import InstanceLabels, Mask

Ring = list[tuple[int, int]]
Point = tuple[int, int]
_STEPS: tuple[Point, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up."""
_FIRST = class_colors(2)[1]


def polygons(mask: Mask) -> list[list[Ring]]:
    """Outline a mask; pixels belong to one polygon where they share a side.

    Polygons are valid as the Simple Features standard has it (OGC 06-103r4, 6.1.11): rings do
    not cross, and touch in single points at most. Regions that share only a corner are polygons
    of their own.

    Args:
        mask: (H, W).

    Returns:
        For each polygon its outer ring (clockwise on the screen), then its holes (the other way
        round). Rings are closed: the last point is the first. Polygons are sorted by their
        points.
    """
    count, regions, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    found = []
    for region in range(1, count):
        left, top, width, height = (int(value) for value in stats[region, :4])
        piece = regions[top : top + height, left : left + width] == region
        found.append(_polygon(np.concatenate(list(_edges(np.pad(piece, 1), top, left)))))
    return sorted(found)


def twice_area(ring: Ring) -> int:
    """Twice the area in a closed ring, in pixels; negative where it runs counterclockwise."""
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise(ring))


def geojson(
    labels: InstanceLabels, table: pd.DataFrame, name: str, image: str, color: Color = _FIRST
) -> dict[str, Any]:
    """Objects as a GeoJSON feature collection (RFC 7946), with what QuPath looks for.

    Args:
        labels: (H, W), int32; 0 is background.
        table: One row per object with its ``label``; the other columns become measurements.
        name: Class of the objects.
        image: What sets these objects' ids apart from those of other images.
        color: Of the class.

    Returns:
        A collection of detections; an object of pieces that share only corners is a
        MultiPolygon.
    """
    features = []
    for row in table.to_dict("records"):
        top, left = int(row["top"]), int(row["left"])
        box = np.s_[top : top + int(row["height"]), left : left + int(row["width"])]
        pieces = [
            [[(x + left, y + top) for x, y in ring] for ring in polygon]
            for polygon in polygons(labels[box] == row["label"])
        ]
        features.append(feature({str(key): row[key] for key in row}, pieces, name, image, color))
    return {"type": "FeatureCollection", "features": features}


def feature(
    row: Mapping[str, Any],
    pieces: Sequence[Sequence[Ring]],
    name: str,
    image: str,
    color: Color = _FIRST,
) -> dict[str, Any]:
    """One object as a GeoJSON feature.

    Args:
        row: Its ``label``, and its measurements by name.
        pieces: Its polygons.
        name: Class of the object.
        image: What sets its id apart from those of other images.
        color: Of the class.
    """
    single = len(pieces) == 1
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {image} {row['label']}")),
        "geometry": {
            "type": "Polygon" if single else "MultiPolygon",
            "coordinates": pieces[0] if single else pieces,
        },
        "properties": {
            "objectType": "detection",
            "name": str(row["label"]),
            "classification": {"name": name, "color": list(color)},
            "measurements": {key: value for key, value in row.items() if key != "label"},
        },
    }


def stream_polygons(
    bands: Iterable[tuple[InstanceLabels, InstanceLabels]],
) -> Iterator[tuple[int, list[list[Ring]]]]:
    """Outline the objects of a picture that comes in bands of rows.

    Only the edges of objects that go on below are kept, so memory grows with the length of
    their outlines, not with the picture.

    Args:
        bands: For each band, from the top, its objects and its regions: (h, W), 0 is
            background. Pixels of an object share sides or corners, those of a region sides.

    Yields:
        The label of an object and its ``polygons``, as soon as it has ended.
    """
    edges: dict[int, list[NDArray[np.int64]]] = {}  # of each region
    parts: dict[int, set[int]] = {}  # regions of each object
    for above, (objects, regions), below, top in _with_lines(bands):
        padded = np.pad(np.vstack((above, regions, below)), ((0, 0), (1, 1)))
        for found in _edges(padded, top, 0):
            order = np.argsort(found[:, 0], kind="stable")
            names, starts = np.unique(found[order, 0], return_index=True)
            pieces = np.split(found[order], starts)[1:]
            for region, piece in zip(names.tolist(), pieces, strict=True):
                edges.setdefault(region, []).append(piece)
        inside = regions > 0
        pairs = objects[inside].astype(np.int64) << 32 | regions[inside]
        for pair in np.unique(pairs).tolist():
            parts.setdefault(pair >> 32, set()).add(pair & 0xFFFFFFFF)
        going_on = set(objects[-1].tolist()) if below.any() else set()
        for label in sorted(parts.keys() - going_on):
            own = [np.concatenate(edges.pop(region)) for region in parts.pop(label)]
            yield label, sorted(_polygon(piece) for piece in own)


def _with_lines(
    bands: Iterable[tuple[InstanceLabels, InstanceLabels]],
) -> Iterator[tuple[InstanceLabels, tuple[InstanceLabels, InstanceLabels], InstanceLabels, int]]:
    """Each band with the line of regions above it, the one below it, and its first row."""
    top, above = 0, None
    coming = iter(bands)
    band = next(coming, None)
    while band is not None:
        following = next(coming, None)
        nothing = np.zeros((1, band[1].shape[1]), np.int32)
        below = nothing if following is None else following[1][:1]
        yield nothing if above is None else above, band, below, top
        top, above, band = top + len(band[1]), band[1][-1:], following


def _polygon(edges: NDArray[np.int64]) -> list[Ring]:
    """The rings of one region's edges (n, 4), the outer one first."""
    return sorted(_rings(edges), key=lambda ring: -twice_area(ring))


def _rings(edges: NDArray[np.int64]) -> list[Ring]:
    """Closed rings along the edges of a region connected by sides, foreground on the right.

    Where two pixels of the region touch at a corner alone, rings turn left: what lies between
    them becomes a hole that touches the outer ring in a point, and no ring meets itself.
    """
    ways: dict[Point, list[int]] = {}
    for _, x, y, direction in edges.tolist():
        ways.setdefault((x, y), []).append(direction)
    left = {(point, direction) for point, out in ways.items() for direction in out}
    rings = []
    for start in sorted(left):
        if start not in left:
            continue
        point, direction = start
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


def _edges(padded: NDArray[Any], top: int, left: int) -> Iterator[NDArray[np.int64]]:
    """The edges of regions as steps along them, each with its region on the right.

    Args:
        padded: Regions, or a mask of one, with a line of their surroundings on every side.
        top: Row of the picture that the first inner line is.
        left: Its column.

    Yields:
        For each direction (n, 4): region, x and y that the step begins at, and direction.
    """
    inside = padded[1:-1, 1:-1]
    neighbors = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    corners = ((0, 0), (1, 0), (1, 1), (0, 1))  # where the upper, right, ... edge begins
    for direction, (neighbor, (x, y)) in enumerate(zip(neighbors, corners, strict=True)):
        rows, columns = np.nonzero((inside != 0) & (neighbor == 0))
        region = inside[rows, columns]
        ways = np.full(len(rows), direction)
        yield np.stack((region, columns + left + x, rows + top + y, ways), axis=1).astype(np.int64)
