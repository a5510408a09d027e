"""Label maps: counting their values."""

import numpy as np
import pytest

from tiledseg.masks.classes import count_values


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2100, 1000), (2, 2**20 + 1)])
def test_every_pixel_is_counted_once(shape):
    values = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    counts = count_values(values)
    assert counts.dtype == np.int64
    assert counts.tolist() == [int(np.count_nonzero(values == value)) for value in range(256)]


def test_rows_of_a_turned_map_too():
    values = np.arange(12, dtype=np.uint8).reshape(3, 4).T
    assert count_values(values)[:13].tolist() == [1] * 12 + [0]
