"""Components of a mask in bands are those of the mask in memory, wherever it is cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tiledseg.masks.components import find_components
from tiledseg.masks.instances import Measurements, label_instances, measure
from tiledseg.masks.outlines import geojson, stream_polygons

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 16), st.integers(1, 12)))


def cut(mask, heights):
    """Bands of the heights given, over and over."""
    tops = [0]
    while tops[-1] < len(mask):
        tops.append(tops[-1] + heights[(len(tops) - 1) % len(heights)])
    return [mask[top:bottom] for top, bottom in pairwise(tops)]


HEIGHTS = st.lists(st.integers(1, 5), min_size=1, max_size=3)


@settings(max_examples=25)
@given(MASKS, HEIGHTS)
def test_objects_are_those_of_the_mask_in_memory(mask, heights):
    bands = cut(mask, heights)
    components = find_components(bands)
    labels = np.vstack(list(components.labels(bands)))
    assert np.array_equal(labels, label_instances(mask))
    assert labels.dtype == np.int32
    assert components.count == labels.max()
    assert np.array_equal(components.areas[1:], np.bincount(labels.ravel())[1:])
    assert components.areas[0] == 0
    edge = np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    assert set(np.flatnonzero(components.at_border)) == set(edge.tolist()) - {0}


@settings(max_examples=25)
@given(MASKS, HEIGHTS)
def test_regions_share_sides(mask, heights):
    bands = cut(mask, heights)
    components = find_components(bands, connectivity=4)
    labels = np.vstack(list(components.labels(bands)))
    alone = [find_components([labels == name], connectivity=4).count for name in set(labels[mask])]
    assert alone == [1] * components.count
    for first, second in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        both = (first > 0) & (second > 0)
        assert np.array_equal(first[both], second[both])


@settings(max_examples=25)
@given(MASKS, HEIGHTS)
def test_measurements_and_outlines_are_those_of_the_mask_in_memory(mask, heights):
    labels = label_instances(mask)
    probability = np.random.default_rng(0).random(mask.shape, np.float32)
    table = measure(labels, probability)
    bands = cut(mask, heights)
    objects, regions = find_components(bands), find_components(bands, connectivity=4)
    measurements, top = Measurements(objects.count), 0
    for band in objects.labels(bands):
        measurements.add(band, probability[top : top + len(band)], top)
        top += len(band)
    streamed = measurements.table()
    assert streamed.drop(columns="mean_probability").equals(table.drop(columns="mean_probability"))
    assert streamed["mean_probability"].tolist() == pytest.approx(
        table["mean_probability"].tolist()
    )
    pairs = zip(objects.labels(bands), regions.labels(bands), strict=True)
    outlines = dict(stream_polygons(pairs))
    expected = geojson(labels, table, "a", "b")["features"]
    assert len(outlines) == len(expected)
    for label, one in enumerate(expected, start=1):
        single = one["geometry"]["type"] == "Polygon"
        coordinates = one["geometry"]["coordinates"]
        assert outlines[label] == ([coordinates] if single else coordinates)


def test_a_spiral_over_many_bands_is_one_object_and_a_comb_is_joined_at_its_end():
    comb = np.zeros((40, 41), bool)
    comb[:, ::2] = True
    assert find_components(cut(comb, [3])).count == 21
    comb[-1] = True
    assert find_components(cut(comb, [3])).count == 1
    assert find_components(cut(comb, [1])).areas.tolist() == [0, comb.sum()]


def test_outlines_leave_as_soon_as_their_object_ends():
    mask = np.zeros((30, 8), bool)
    mask[1:3, 1:3] = True
    mask[5:30, 5] = True
    bands = cut(mask, [10])
    objects = find_components(bands)
    taken = []

    def watched():
        for band in zip(objects.labels(bands), objects.labels(bands), strict=True):
            taken.append(band)
            yield band

    first, _ = next(stream_polygons(watched()))
    assert first == 1
    assert len(taken) <= 2
