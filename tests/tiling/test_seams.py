import numpy as np
import pytest

from tiledseg.errors import TilingError
from tiledseg.tiling.geometry.grid import plan_grid
from tiledseg.tiling.seams import (
    count_flipped_labels,
    max_difference,
    seam_gradient_against_single_pass,
    seam_gradient_ratio,
)


@pytest.fixture
def grid():
    return plan_grid(120, 200, halo=4, stride=4, max_tile=48)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


def test_noise_has_no_seams(grid):
    assert seam_gradient_ratio(noise(120, 200, 2), grid) == pytest.approx(1.0, abs=0.05)


def test_planted_seam_is_seen(grid):
    probability = noise(120, 200, 1) * 0.01
    column = grid.seam_columns[1]
    probability[:, column:] += 0.5
    across = 120 * 0.5
    lines = 120 * len(grid.seam_columns) + 200 * len(grid.seam_rows)
    # neighbors in noise of amplitude a differ by a / 3 on average
    expected = (across / lines + 0.01 / 3) / (0.01 / 3)
    assert seam_gradient_ratio(probability, grid) == pytest.approx(expected, rel=0.05)


def test_step_beside_a_seam_is_not_a_seam(grid):
    probability = noise(120, 200, 1) * 0.01
    probability[:, grid.seam_columns[1] + 1 :] += 0.5
    assert seam_gradient_ratio(probability, grid) < 1.0


def test_rows_count_like_columns(grid):
    probability = np.zeros((120, 200))
    probability[grid.seam_rows[0] :] = 1.0
    probability[:, 1:2] += 0.5
    turned = plan_grid(200, 120, halo=4, stride=4, max_tile=48)
    assert seam_gradient_ratio(probability, grid) == seam_gradient_ratio(probability.T, turned)


def test_nothing_to_compare():
    whole = plan_grid(120, 200, halo=4, stride=4, max_tile=256)
    assert seam_gradient_ratio(noise(120, 200, 1), whole) == 1.0
    assert seam_gradient_ratio(np.ones((1, 1)), plan_grid(1, 1, halo=0, stride=1, max_tile=8)) == 1


def test_flat_prediction(grid):
    flat = np.full((120, 200, 1), 0.5)
    assert seam_gradient_ratio(flat, grid) == 1.0
    flat[grid.seam_rows[0] :] = 0.7
    assert seam_gradient_ratio(flat, grid) == float("inf")


def test_an_object_on_a_seam_is_none_against_the_whole(grid):
    whole = noise(120, 200, 1) * 0.01
    whole[:, grid.seam_columns[1] :] += 0.5
    assert seam_gradient_ratio(whole, grid) > 10
    assert seam_gradient_against_single_pass(whole, whole, grid) == 1.0
    tiled = whole + noise(120, 200, 1) * 1e-7
    assert seam_gradient_against_single_pass(tiled, whole, grid) == pytest.approx(1.0, abs=1e-4)


def test_a_seam_is_seen_against_the_whole(grid):
    whole = np.zeros((120, 200, 1))
    whole[grid.seam_rows[0] :] = 0.5
    tiled = whole.copy()
    tiled[:, grid.seam_columns[0] :] += 0.25
    assert seam_gradient_against_single_pass(tiled, whole, grid) == pytest.approx(
        (200 * 0.5 + 120 * 0.25) / (200 * 0.5)
    )
    flat = np.zeros_like(whole)
    assert seam_gradient_against_single_pass(flat, flat, grid) == 1.0
    assert seam_gradient_against_single_pass(tiled, flat, grid) == float("inf")
    with pytest.raises(TilingError, match="differ"):
        seam_gradient_against_single_pass(tiled, whole[1:], grid)


def test_gradient_of_another_image(grid):
    with pytest.raises(TilingError, match=r"\(100, 200\).*\(120, 200\)"):
        seam_gradient_ratio(noise(100, 200, 1), grid)


def test_max_difference():
    a, b = noise(5, 6, 2), noise(5, 6, 2)
    b[3, 2, 1] -= 0.25
    assert max_difference(a, b) == pytest.approx(0.25)
    assert max_difference(a, a) == 0.0


def test_flipped_labels_counts_pixels_once():
    a = np.full((4, 5), 0.4)
    b = a.copy()
    b[0, 0] = 0.5
    b[1, 1] = 0.49
    assert count_flipped_labels(a, b) == count_flipped_labels(a[..., None], b[..., None]) == 1


def test_the_label_of_several_classes_is_the_most_probable():
    a = np.tile([0.5, 0.3, 0.2], (4, 5, 1))
    b = a.copy()
    b[3, 4] = [0.3, 0.5, 0.2]
    b[1, 1] = [0.45, 0.35, 0.2]
    assert count_flipped_labels(a, b) == 1


@pytest.mark.parametrize("measure", [max_difference, count_flipped_labels])
def test_shapes_must_agree(measure):
    with pytest.raises(TilingError, match=r"\(3, 4\) and \(4, 3\)"):
        measure(noise(3, 4), noise(4, 3))
