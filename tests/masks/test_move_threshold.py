"""Moving a threshold to 0.5 changes no mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.masks.classes import move_threshold

PROBABILITIES = np.linspace(0, 1, 4097, dtype=np.float32)


@given(st.floats(0.01, 0.99))
def test_what_was_above_the_threshold_is_above_a_half(threshold):
    moved = move_threshold(PROBABILITIES, threshold)
    clear = np.abs(PROBABILITIES - threshold) > 1e-6  # float32 does not tell the rest apart
    np.testing.assert_array_equal(moved[clear] >= 0.5, PROBABILITIES[clear] >= threshold)
    assert moved.dtype == np.float32
    assert (np.diff(moved) >= 0).all()
    assert (moved[0], moved[-1]) == (0, 1)


def test_it_is_a_shift_of_the_logits():
    inner = PROBABILITIES[1:-1].astype(np.float64)
    shifted = np.log(inner / (1 - inner)) - np.log(0.8 / 0.2)
    expected = 1 / (1 + np.exp(-shifted))
    np.testing.assert_allclose(move_threshold(PROBABILITIES, 0.8)[1:-1], expected, atol=1e-6)
    assert move_threshold(PROBABILITIES, 0.5) is PROBABILITIES


def test_the_threshold_itself_comes_to_lie_at_a_half():
    assert move_threshold(np.float32([0.25]), 0.25) == pytest.approx(0.5)
