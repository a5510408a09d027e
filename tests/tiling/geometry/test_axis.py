"""Windows cover an axis, and its cores are a partition of it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tiledseg.tiling.geometry.axis import cover_axis, divide_axis


@st.composite
def axes(draw):
    """Length, side and overlap, awkward ones among them."""
    side = draw(st.integers(1, 200))
    return draw(st.integers(1, 1000)), side, draw(st.integers(0, side - 1))


@given(axes(), st.booleans())
def test_windows_cover_the_axis_and_stay_inside(axis, even):
    length, side, overlap = axis
    origins = cover_axis(length, side, overlap, even=even)
    assert origins == sorted(set(origins))
    assert origins[0] == 0
    assert origins[-1] == max(0, length - side)
    steps = [right - left for left, right in itertools.pairwise(origins)]
    assert all(step <= side - overlap for step in steps)


@given(axes(), st.booleans())
def test_one_window_less_would_not_do(axis, even):
    length, side, overlap = axis
    fewer = len(cover_axis(length, side, overlap, even=even)) - 1
    assert fewer == 0 or fewer * side - (fewer - 1) * overlap < length


@given(axes())
def test_every_position_is_in_one_core_and_cores_in_their_windows(axis):
    length, side, overlap = axis
    origins = cover_axis(length, side, overlap)
    cores = divide_axis(length, side, origins)
    assert [position for core in cores for position in range(*core)] == list(range(length))
    for origin, (start, stop) in zip(origins, cores, strict=True):
        assert origin <= start < stop <= origin + side


def test_uneven_windows_lie_a_step_apart_and_the_last_is_pushed_back():
    assert cover_axis(100, 30, even=False) == [0, 30, 60, 70]
    assert cover_axis(100, 30) == [0, 23, 46, 70]
