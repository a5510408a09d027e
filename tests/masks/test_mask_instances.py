"""Objects: cleaning, labels and measurements, against what can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tiledseg.masks.band_cleaning import clean_probability
from tiledseg.masks.instances import clean, find_connected, label_instances, measure

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def mask_of(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def test_small_objects_go_and_large_ones_stay():
    mask = mask_of("##..#", "##...", "....#", "...##")
    assert np.array_equal(clean(mask, smallest=3), mask_of("##...", "##...", "....#", "...##"))
    assert np.array_equal(clean(mask, smallest=4), mask_of("##...", "##...", ".....", "....."))


def test_corners_hold_an_object_together():
    mask = mask_of("#..", ".#.", "..#")
    assert np.array_equal(clean(mask, smallest=3), mask)
    assert label_instances(mask).max() == 1


def test_small_holes_are_filled_and_what_touches_the_border_is_none():
    mask = mask_of("######.#", "#.##..##", "###...##", "########")
    filled = clean(mask, holes=1)
    assert np.array_equal(filled, mask_of("######.#", "####..##", "###...##", "########"))
    assert np.array_equal(clean(mask, holes=99), mask_of("######.#", *["########"] * 3))
    assert np.array_equal(clean(mask), mask)


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


@given(MASKS)
def test_labels_are_1_to_n_in_reading_order(mask):
    labels = label_instances(mask)
    assert labels.dtype == np.int32
    assert np.array_equal(labels > 0, mask)
    names, firsts = np.unique(labels[labels > 0], return_index=True)
    assert names.tolist() == list(range(1, len(names) + 1))
    assert np.all(np.diff(firsts) > 0)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_labels_of_a_mask_that_threads_share_are_in_reading_order_too(share, connectivity):
    mask = np.random.default_rng(0).random((700, 900)) < share
    count, labels = find_connected(mask, connectivity=connectivity)
    found, firsts = np.unique(labels, return_index=True)
    assert np.array_equal(found, np.arange(count + 1))
    assert np.all(np.diff(firsts[1:]) > 0)
    assert np.array_equal(labels > 0, mask)


@given(MASKS)
def test_measurements_are_those_of_each_object_alone(mask):
    labels = label_instances(mask)
    probability = np.random.default_rng(0).random(mask.shape, np.float32)
    table = measure(labels, probability)
    assert table["area"].sum() == mask.sum()
    for row in table.to_dict("records"):
        rows, columns = np.nonzero(labels == row["label"])
        assert row["area"] == len(rows)
        assert row["centroid_row"] == pytest.approx(rows.mean())
        assert row["centroid_column"] == pytest.approx(columns.mean())
        assert (row["top"], row["left"]) == (rows.min(), columns.min())
        assert (row["height"], row["width"]) == (np.ptp(rows) + 1, np.ptp(columns) + 1)
        assert row["mean_probability"] == pytest.approx(probability[rows, columns].mean(), abs=1e-6)


def test_no_object_gives_an_empty_table_with_its_columns():
    table = measure(label_instances(np.zeros((3, 4), bool)), np.zeros((3, 4), np.float32))
    assert table.empty
    assert {"label", "area", "centroid_row"} <= set(table.columns)
