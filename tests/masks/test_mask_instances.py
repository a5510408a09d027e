"""Objects: labels and measurements, against what can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tiledseg.masks.instances import label_instances, label_regions, measure

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def mask_of(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def test_corners_hold_an_object_together():
    assert label_instances(mask_of("#..", ".#.", "..#")).max() == 1


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
    count, labels = label_regions(mask, connectivity=connectivity)
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
