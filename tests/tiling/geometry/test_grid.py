import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tiledseg.errors import TilingError
from tiledseg.tiling.geometry.grid import Grid, plan_grid

AWKWARD = [(1, 1), (1, 37), (19, 37), (14, 9), (513, 4099)]
FIELDS = [(0, 1, 8), (3, 1, 16), (5, 4, 24), (23, 4, 64), (93, 16, 256), (7, 16, 64)]


def least_tile(halo: int, stride: int) -> int:
    return -(-2 * halo // stride) * stride + stride


def assert_sound(grid: Grid, max_tile: int) -> None:
    height, width = grid.image_shape
    covered = np.zeros((height, width), np.uint8)
    for tile in grid.tiles:
        covered[tile.core] += 1
        for axis in (0, 1):
            assert_tile_sound(grid, tile, axis, max_tile)
    assert (covered == 1).all()
    assert grid.padded_shape == tuple(-(-n // grid.stride) * grid.stride for n in (height, width))


def assert_tile_sound(grid, tile, axis, max_tile):
    window, core, inner = tile.window[axis], tile.core[axis], tile.core_in_window[axis]
    length = window.stop - window.start
    assert length == grid.tile_shape[axis] <= max_tile
    assert window.start % grid.stride == 0 == length % grid.stride
    assert 0 <= window.start <= core.start < core.stop <= window.stop <= grid.padded_shape[axis]
    assert (inner.start, inner.stop) == (core.start - window.start, core.stop - window.start)
    assert window.start == 0 or core.start - window.start >= grid.halo
    assert window.stop == grid.padded_shape[axis] or window.stop - core.stop >= grid.halo


@pytest.mark.parametrize(("height", "width"), AWKWARD)
@pytest.mark.parametrize(("halo", "stride", "max_tile"), FIELDS)
def test_awkward_shapes_are_covered_once(height, width, halo, stride, max_tile):
    grid = plan_grid(height, width, halo=halo, stride=stride, max_tile=max_tile)
    assert_sound(grid, max_tile)


@settings(deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 20),
    halo=st.integers(0, 40),
    stride=st.sampled_from([1, 2, 3, 4, 6, 8, 16]),
    spare=st.integers(0, 100),
)
def test_every_plan_is_sound(height, width, halo, stride, spare):
    max_tile = least_tile(halo, stride) + spare
    assert_sound(plan_grid(height, width, halo=halo, stride=stride, max_tile=max_tile), max_tile)


@settings(deadline=None)
@given(
    length=st.integers(1, 400),
    halo=st.integers(0, 30),
    stride=st.sampled_from([1, 2, 4, 8]),
    spare=st.integers(0, 60),
)
def test_count_and_then_length_are_the_least(length, halo, stride, spare):
    max_tile = least_tile(halo, stride) + spare
    grid = plan_grid(length, 1, halo=halo, stride=stride, max_tile=max_tile)
    count, tile, padded = len(grid.tiles), grid.tile_shape[0], grid.padded_shape[0]
    assume(count > 1)
    overlap = least_tile(halo, stride) - stride

    def reach(windows: int, side: int) -> int:
        return windows * side - (windows - 1) * overlap

    assert reach(count - 1, max_tile // stride * stride) < padded or count == 2
    assert max_tile // stride * stride < padded
    assert reach(count, tile - stride) < padded <= reach(count, tile)


def test_image_that_fits_gets_one_window_without_halo():
    grid = plan_grid(30, 50, halo=100, stride=16, max_tile=64)
    assert grid.tile_shape == (32, 64)
    assert len(grid.tiles) == 1
    assert grid.tiles[0].core == (slice(0, 30), slice(0, 50))
    assert grid.seam_rows == grid.seam_columns == ()


def test_example_by_hand():
    # in strides of 4: 25 columns, overlaps of 4, so 3 windows of at most 12 and at least 11
    grid = plan_grid(4, 100, halo=8, stride=4, max_tile=48)
    assert [tile.window[1].start for tile in grid.tiles] == [0, 28, 56]
    assert grid.tile_shape == (4, 44)
    assert grid.seam_columns == (36, 64)
    assert grid.seam_rows == ()
    assert grid.work_ratio == pytest.approx(3 * 44 / 100)


def test_fitted_tile_of_the_design_page():
    grid = plan_grid(4096, 4096, halo=96, stride=32, max_tile=2048)
    assert grid.tile_shape == (1504, 1504)
    assert grid.work_ratio == pytest.approx(1.213, abs=1e-3)


def test_tiles_come_row_by_row():
    grid = plan_grid(40, 40, halo=2, stride=4, max_tile=20)
    corners = [(tile.core[0].start, tile.core[1].start) for tile in grid.tiles]
    assert corners == sorted(corners)
    assert set(grid.seam_rows) == {row for row, _ in corners} - {0}


def test_tile_is_counted_down_to_the_stride():
    assert plan_grid(100, 100, halo=3, stride=8, max_tile=47).tile_shape[0] <= 40


@pytest.mark.parametrize("max_tile", [16, 32, 47])
def test_tile_too_small_for_the_halo(max_tile):
    with pytest.raises(TilingError, match=r"width of 200 px.*halos of 15 px.*max_tile to 48"):
        plan_grid(1, 200, halo=15, stride=16, max_tile=max_tile)


def test_the_least_tile_of_the_message_works():
    assert_sound(plan_grid(200, 200, halo=15, stride=16, max_tile=48), 48)


@pytest.mark.parametrize(
    ("height", "width", "halo", "stride"), [(0, 5, 1, 1), (5, 0, 1, 1), (5, 5, -1, 1), (5, 5, 1, 0)]
)
def test_impossible_sizes(height, width, halo, stride):
    with pytest.raises(TilingError, match=r"nothing to tile|no receptive field"):
        plan_grid(height, width, halo=halo, stride=stride, max_tile=64)
