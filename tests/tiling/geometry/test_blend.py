import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiledseg.errors import TilingError
from tiledseg.tiling.geometry.blend import plan_blend_grid
from tiledseg.tiling.geometry.stitch import BlendStitcher


@st.composite
def grids(draw):
    side = draw(st.tuples(st.integers(4, 24), st.integers(4, 24)))
    overlap = draw(st.one_of(st.floats(0, 0.7), st.integers(1, min(side) // 2 + 1)))
    return plan_blend_grid(
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
        tile_shape=side,
        overlap=overlap,
        window_function=draw(st.sampled_from(["hann", "gaussian"])),
    )


def stitched(grid, image, finished=frozenset()):
    """What the stitcher makes of an identity model, NaN where it gives nothing."""
    padded = np.full((*grid.padded_shape, image.shape[2]), 99.0, np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    stitcher = BlendStitcher(grid, image.shape[2], finished)
    answer = np.full(image.shape, np.nan, np.float32)
    given = []
    for index in stitcher.needed:
        for whole, values in stitcher.add(index, padded[grid.tiles[index].window]):
            assert np.isnan(answer[grid.tiles[whole].core]).all()
            answer[grid.tiles[whole].core] = values
            given.append(whole)
    assert given == [index for index in range(len(grid.tiles)) if index not in finished]
    return answer


@settings(max_examples=40)
@given(grid=grids())
def test_cores_cover_and_weights_add_up_to_one(grid):
    covered = np.zeros(grid.image_shape, int)
    total = np.zeros(grid.padded_shape)
    for index, tile in enumerate(grid.tiles):
        covered[tile.core] += 1
        weights = grid.weights(index)
        assert weights.shape == grid.tile_shape
        assert (weights > 0).all()
        total[tile.window] += weights
        for axis in (0, 1):
            window, core = tile.window[axis], tile.core[axis]
            assert 0 <= window.start <= core.start < core.stop <= window.stop
            assert window.stop <= grid.padded_shape[axis]
    assert (covered == 1).all()
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


@settings(max_examples=40)
@given(grid=grids(), finished=st.frozensets(st.integers(0, 400), max_size=300))
def test_the_identity_model_gives_the_image_back(grid, finished):
    image = np.random.default_rng(0).random((*grid.image_shape, 2), np.float32)
    done = frozenset(index for index in finished if index < len(grid.tiles))
    expected = image.copy()
    for index in done:
        expected[grid.tiles[index].core] = np.nan
    np.testing.assert_allclose(stitched(grid, image, done), expected, atol=1e-5)


@pytest.mark.parametrize(("overlap", "least"), [(0, 0), (0.25, 8), (0.5, 16), (5, 5), (31, 31)])
def test_windows_overlap_enough_and_are_few(overlap, least):
    grid = plan_blend_grid(1, 200, tile_shape=(32, 32), overlap=overlap)
    starts = [tile.window[1].start for tile in grid.tiles]
    assert min(32 - np.diff(starts)) >= least
    assert len(starts) == -(-(200 - least) // (32 - least))
    assert grid.tiles[-1].window[1].stop == 200


def test_weights_fall_towards_the_border():
    grid = plan_blend_grid(40, 40, tile_shape=(16, 16), overlap=0.5)
    inner = grid.weights(grid.columns + 1)
    assert inner[8, 8] > inner[8, 2] > inner[8, 0]
    assert inner[0, 0] < 0.01


def test_a_seam_is_softened():
    """Two windows that disagree meet in a ramp, not in a step."""
    grid = plan_blend_grid(32, 48, tile_shape=(32, 32), overlap=0.5)
    stitcher = BlendStitcher(grid, 1, frozenset())
    answer = np.zeros((32, 48), np.float32)
    for index in stitcher.needed:
        for whole, values in stitcher.add(index, np.full((32, 32, 1), index, np.float32)):
            answer[grid.tiles[whole].core] = values[..., 0]
    assert (np.diff(answer, axis=1) >= -1e-6).all()
    assert 0 < np.diff(answer, axis=1).max() < 0.2
    assert (answer[:, 0], answer[:, -1]) == (pytest.approx(0), pytest.approx(1))


def test_the_strip_does_not_grow_with_the_image():
    highest = {}
    for height in (200, 2000):
        grid = plan_blend_grid(height, 40, tile_shape=(32, 32), overlap=0.5)
        stitcher = BlendStitcher(grid, 1, frozenset())
        rows = 0
        for index in stitcher.needed:
            list(stitcher.add(index, np.zeros((32, 32, 1), np.float32)))
            rows = max(rows, len(stitcher._strip))
        highest[height] = rows
    assert max(highest.values()) <= 2 * 32


@pytest.mark.parametrize("overlap", [-0.1, 16, 20])
def test_an_impossible_overlap(overlap):
    with pytest.raises(TilingError, match=r"16 x 16 px cannot overlap.*tiling\.overlap"):
        plan_blend_grid(50, 50, tile_shape=(16, 16), overlap=overlap)


def test_nothing_to_tile():
    with pytest.raises(TilingError, match="0 x 5 pixels has nothing"):
        plan_blend_grid(0, 5, tile_shape=(4, 4), overlap=0.5)
