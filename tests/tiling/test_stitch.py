import numpy as np
import pytest

from tiledseg.errors import TilingError
from tiledseg.tiling.grid import plan_grid
from tiledseg.tiling.stitch import CropStitcher


@pytest.fixture
def grid():
    return plan_grid(19, 37, halo=2, stride=4, max_tile=12)


@pytest.fixture
def truth():
    """A prediction of the padded image, 20 x 40."""
    return np.random.default_rng(0).random((20, 40, 2), np.float32)


def test_cores_make_the_image(grid, truth):
    stitcher = CropStitcher(19, 37, 2)
    for tile in reversed(grid.tiles):
        stitcher.add(tile, truth[tile.window])
    result = stitcher.result()
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, truth[:19, :37])


def test_halos_are_not_used(grid, truth):
    stitcher = CropStitcher(19, 37, 2)
    for tile in grid.tiles:
        window = np.full_like(truth[tile.window], 7.0)
        window[tile.core_in_window] = truth[tile.core]
        stitcher.add(tile, window)
    np.testing.assert_array_equal(stitcher.result(), truth[:19, :37])


def test_missing_tile_is_named(grid, truth):
    stitcher = CropStitcher(19, 37, 2)
    missing = grid.tiles[3]
    for tile in grid.tiles:
        if tile is not missing:
            stitcher.add(tile, truth[tile.window])
    row, column = missing.core[0].start, missing.core[1].start
    with pytest.raises(TilingError, match=f"no tile was added for row {row}, column {column} "):
        stitcher.result()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_value_is_placed(grid, truth, value):
    truth[9, 30, 1] = value
    stitcher = CropStitcher(19, 37, 2)
    for tile in grid.tiles:
        stitcher.add(tile, truth[tile.window])
    with pytest.raises(TilingError, match="row 9, column 30 "):
        stitcher.result()


def test_prediction_of_another_shape(grid, truth):
    stitcher = CropStitcher(19, 37, 2)
    with pytest.raises(TilingError, match=r"row 0, column 0 has shape \(5, 5, 2\) instead of"):
        stitcher.add(grid.tiles[0], truth[:5, :5])
