"""Outlines: painted back they give the mask, and their area is its number of pixels."""

import json
from itertools import pairwise

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tiledseg.masks.instances import label_instances, measure
from tiledseg.masks.outlines import geojson, polygons, twice_area

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 10), st.integers(1, 10)))


def painted(found, shape):
    """Pixels whose middle an odd number of rings goes round."""
    inside = np.zeros(shape, int)
    for ring in (ring for polygon in found for ring in polygon):
        for (x, y), (_, next_y) in pairwise(ring):
            inside[min(y, next_y) : max(y, next_y), :x] += 1
    return inside % 2 == 1


@given(MASKS)
def test_outlines_painted_are_the_mask(mask):
    assert np.array_equal(painted(polygons(mask), mask.shape), mask)


@given(MASKS)
def test_area_is_the_number_of_pixels_of_each_region(mask):
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = [sum(twice_area(ring) for ring in polygon) / 2 for polygon in polygons(mask)]
    assert sorted(areas) == sorted(stats[1:, cv2.CC_STAT_AREA].tolist())


@given(MASKS)
def test_rings_are_closed_simple_and_rightly_turned(mask):
    for outer, *holes in polygons(mask):
        assert twice_area(outer) > 0
        assert all(twice_area(hole) < 0 for hole in holes)
        for ring in (outer, *holes):
            assert ring[0] == ring[-1]
            assert len(set(ring)) == len(ring) - 1 >= 4, "a ring meets itself"
            turns = zip(ring[:-1], ring[1:], [*ring[2:], ring[1]], strict=True)
            assert all((a[0] == b[0]) != (b[0] == c[0]) for a, b, c in turns), "a needless point"


def test_a_pixel_a_ring_and_a_pocket_that_touches_the_outside_by_a_corner():
    assert polygons(np.array([[True]])) == [[[(1, 0), (1, 1), (0, 1), (0, 0), (1, 0)]]]
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    (outer, hole) = polygons(ring)[0]
    assert (twice_area(outer), twice_area(hole)) == (18, -2)
    ring[0, 0] = False  # the pocket now touches the outside at the corner (1, 1)
    (outer, hole) = polygons(ring)[0]
    assert (twice_area(outer), twice_area(hole)) == (16, -2)
    assert (1, 1) in outer
    assert (1, 1) in hole


def test_geojson_has_an_object_per_feature_with_its_measurements():
    mask = np.zeros((6, 8), bool)
    mask[0:2, 1:4] = True
    mask[3, 5] = mask[4, 6] = True  # one object of two pixels that share a corner
    labels = label_instances(mask)
    table = measure(labels, np.full(mask.shape, 0.75, np.float32))
    collection = json.loads(json.dumps(geojson(labels, table, "Tiled-Cell", "a")))
    assert collection["type"] == "FeatureCollection"
    first, second = collection["features"]
    assert first["geometry"]["type"] == "Polygon"
    (ring,) = first["geometry"]["coordinates"]
    assert {tuple(point) for point in ring} == {(1, 0), (4, 0), (4, 2), (1, 2)}
    assert first["properties"]["classification"]["name"] == "Tiled-Cell"
    assert first["properties"]["objectType"] == "detection"
    assert first["properties"]["measurements"]["area"] == 6
    assert second["geometry"]["type"] == "MultiPolygon"
    assert len(second["geometry"]["coordinates"]) == 2
    other = geojson(labels, table, "Tiled-Cell", "b")["features"][0]
    assert len({first["id"], second["id"], other["id"]}) == 3
