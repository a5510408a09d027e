"""Cleaning of masks, label maps and probabilities: small objects dropped, small holes filled."""

from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tiledseg.masks.classes import labels_of as cut
from tiledseg.masks.cleaning import clean, clean_bands, clean_label_bands, clean_probability

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 16), st.integers(1, 12)))
HEIGHTS = st.lists(st.integers(1, 5), min_size=1, max_size=3)
LABELS = arrays(
    np.uint8,
    st.tuples(st.integers(1, 14), st.integers(1, 12)),
    elements=st.sampled_from([0, 1, 1, 2, 2, 3]),
    fill=st.nothing(),
)
SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def mask_of(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def labels_of(*rows):
    return np.array([[int(character) for character in row] for row in rows], np.uint8)


def divide(mask, heights):
    """Bands of the heights given, over and over."""
    bands, top, sizes = [], 0, cycle(heights)
    while top < len(mask):
        bands.append(mask[top : top + next(sizes)])
        top += len(bands[-1])
    return bands


def regions(mask, steps):
    """Regions as sets of (row, column), filled one pixel after the other."""
    left = set(map(tuple, np.argwhere(mask).tolist()))
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            region.add((row, column))
            near = {(row + down, column + right) for down, right in steps} & left
            left -= near
            edge += near
        yield region


def clean_by_filling(mask, smallest, holes):
    """What ``clean`` should give, told from each region by itself."""
    kept = mask.copy()
    for region in regions(mask, SIDES + CORNERS):
        if len(region) < smallest:
            kept[tuple(zip(*region, strict=True))] = False
    filled = kept.copy()
    for region in regions(~kept, SIDES):
        rows, columns = map(np.array, zip(*region, strict=True))
        at_border = np.isin(rows, (0, len(mask) - 1)) | np.isin(columns, (0, mask.shape[1] - 1))
        if len(region) <= holes and not at_border.any():
            filled[rows, columns] = True
    return filled


def clean_labels(labels, *, smallest=0, holes=0):
    """All rows as one band, as those of a small image are."""
    bands = clean_label_bands(lambda: iter([labels]), (1, 2, 3), smallest=smallest, holes=holes)
    (cleaned,) = bands()
    return cleaned


def test_small_objects_go_and_large_ones_stay():
    mask = mask_of("##..#", "##...", "....#", "...##")
    assert np.array_equal(clean(mask, smallest=3), mask_of("##...", "##...", "....#", "...##"))
    assert np.array_equal(clean(mask, smallest=4), mask_of("##...", "##...", ".....", "....."))


def test_corners_hold_an_object_together():
    mask = mask_of("#..", ".#.", "..#")
    assert np.array_equal(clean(mask, smallest=3), mask)


def test_small_holes_are_filled_and_what_touches_the_border_is_none():
    mask = mask_of("######.#", "#.##..##", "###...##", "########")
    filled = clean(mask, holes=1)
    assert np.array_equal(filled, mask_of("######.#", "####..##", "###...##", "########"))
    assert np.array_equal(clean(mask, holes=99), mask_of("######.#", *["########"] * 3))
    assert np.array_equal(clean(mask), mask)


@given(MASKS, HEIGHTS, st.integers(0, 9), st.integers(0, 9))
def test_in_one_piece_and_in_bands_regions_go_by_their_own_areas(mask, heights, smallest, holes):
    expected = clean_by_filling(mask, smallest, holes)
    cleaned = clean(mask, smallest=smallest, holes=holes)
    assert cleaned.dtype == np.bool_
    assert np.array_equal(cleaned, expected)
    assert not np.shares_memory(cleaned, mask)
    bands = clean_bands(lambda: iter(divide(mask, heights)), smallest=smallest, holes=holes)
    for _ in range(2):
        assert np.array_equal(np.vstack(list(bands())), expected)


@given(MASKS, st.integers(0, 9), st.integers(0, 9))
def test_cleaning_twice_changes_nothing_more_and_the_input_stays(mask, smallest, holes):
    before = mask.copy()
    once = clean(mask, smallest=smallest, holes=holes)
    assert np.array_equal(clean(once, smallest=smallest, holes=holes), once)
    assert np.array_equal(mask, before)


@given(MASKS, st.integers(0, 9), st.integers(0, 99))
def test_probabilities_without_small_objects_cut_to_the_cleaned_mask(mask, smallest, seed):
    noise = np.random.default_rng(seed).random(mask.shape, np.float32) / 2
    probability = (mask / 2 + noise).astype(np.float32)[..., np.newaxis]
    before = probability.copy()
    found = clean_probability(probability, smallest=smallest, holes=0)
    kept = clean(mask, smallest=smallest)
    assert found.dtype == np.float32
    assert np.array_equal(found[..., 0] >= 0.5, kept)
    assert np.array_equal(np.rint(found[..., 0] * 255) >= 127.5, kept), "stored in 8 bits"
    dropped = mask & ~kept
    assert np.array_equal(found[~dropped], before[~dropped])
    assert np.array_equal(probability, before)


def test_small_objects_of_several_classes_become_background_class_by_class():
    labels = np.array([[1, 1, 1, 0], [0, 2, 0, 0], [2, 0, 0, 1]])
    probability = np.where(np.arange(3) == labels[..., np.newaxis], 0.6, 0.2).astype(np.float32)
    before = probability.copy()
    found = clean_probability(probability, smallest=3, holes=0)
    assert found.argmax(axis=2).tolist() == [[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-6)
    assert np.array_equal(probability, before)


def test_a_speck_inside_another_class_becomes_that_class():
    labels = np.ones((9, 9), np.uint8)
    labels[4, 4] = 2
    assert np.array_equal(clean_labels(labels, smallest=5, holes=50), np.ones((9, 9)))
    assert clean_labels(labels, smallest=5)[4, 4] == 0, "holes are filled where asked"


@pytest.mark.parametrize(("ring", "around"), [(1, 2), (2, 1)])
def test_a_hole_takes_the_class_that_is_next_to_it(ring, around):
    labels = np.full((11, 11), around, np.uint8)
    labels[4:7, 4:7] = ring
    expected = labels.copy()
    labels[5, 5] = 0
    assert np.array_equal(clean_labels(labels, holes=20), expected)


def test_a_gap_around_another_class_is_filled_and_the_class_stays():
    labels = labels_of("1111111", "1000001", "1022201", "1022201", "1000001", "1111111")
    filled = labels_of("1111111", "1111111", "1122211", "1122211", "1111111", "1111111")
    assert np.array_equal(clean_labels(labels, holes=20), filled)
    assert np.array_equal(clean_labels(labels, holes=19), labels), "a hole is all of it"


def test_a_hole_between_two_classes_belongs_to_neither():
    labels = labels_of("111111", "122331", "120331", "122331", "111111")
    assert np.array_equal(clean_labels(labels, holes=5), labels)


def test_what_is_dropped_at_the_border_stays_background():
    labels = labels_of("1121", "1111", "1111")
    assert clean_labels(labels, smallest=2, holes=9)[0, 2] == 0


@given(LABELS, st.integers(0, 9), st.integers(0, 30))
def test_cleaning_changes_only_what_is_small_or_background(labels, smallest, holes):
    before = labels.copy()
    found = clean_labels(labels, smallest=smallest, holes=holes)
    assert np.array_equal(labels, before)
    for label in (1, 2, 3):
        large = clean(labels == label, smallest=smallest)
        assert (found[large] == label).all()
        (filled,) = np.nonzero((found == label)[~large])
        assert filled.size == 0 or clean(large, holes=holes)[~large][filled].all()


@given(LABELS, st.integers(0, 9), st.integers(0, 30))
def test_one_class_is_cleaned_as_a_mask(labels, smallest, holes):
    mask = labels > 0
    found = clean_labels(mask.view(np.uint8), smallest=smallest, holes=holes)
    assert np.array_equal(found > 0, clean(mask, smallest=smallest, holes=holes))


@settings(max_examples=60)
@given(LABELS, st.integers(0, 9), st.integers(0, 30), st.integers(1, 5))
def test_bands_are_those_of_the_labels_in_memory(labels, smallest, holes, height):
    bands = [labels[top : top + height] for top in range(0, len(labels), height)]
    cleaned_bands = clean_label_bands(
        lambda: iter(bands), (1, 2, 3), smallest=smallest, holes=holes
    )
    expected = clean_labels(labels, smallest=smallest, holes=holes)
    for _ in range(2):
        found = list(cleaned_bands())
        assert [band.dtype for band in found] == [np.uint8] * len(bands)
        assert np.array_equal(np.vstack(found), expected)


@given(LABELS, st.integers(0, 9), st.integers(0, 30), st.integers(0, 99))
def test_cleaned_probabilities_are_cut_to_the_cleaned_labels(labels, smallest, holes, seed):
    """Few values, so that several classes are equally probable."""
    dice = np.random.default_rng(seed)
    probability = dice.integers(0, 3, (*labels.shape, 4)).astype(np.float32) / 8
    np.put_along_axis(probability, labels[..., None].astype(int), np.float32(0.25), axis=2)
    for values in (probability, probability[..., :1] * 2):
        before = values.copy()
        found = clean_probability(values, smallest=smallest, holes=holes)
        assert found.dtype == np.float32
        assert np.array_equal(values, before)
        expected = clean_labels(cut(values), smallest=smallest, holes=holes)
        assert np.array_equal(cut(found), expected)
        same = cut(values) == expected
        assert np.array_equal(found[same], values[same])
