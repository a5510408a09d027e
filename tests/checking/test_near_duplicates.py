"""Which thumbnails count as the same, whatever their orientation."""

import cv2
import numpy as np
import pytest

from tiledseg.checking.near_duplicates import SAME, find_near_duplicates


def pictures(count: int) -> np.ndarray:
    """(count, 32, 32), float32: smooth fields with nothing in common."""
    rng = np.random.default_rng(4)
    fields = [cv2.GaussianBlur(rng.normal(0, 1, (32, 32)), (0, 0), 2.0) for _ in range(count)]
    return np.array([128 + 60 * field / field.std() for field in fields], np.float32)


def pairs(thumbnails: np.ndarray) -> list[tuple[int, int, bool]]:
    return [(pair.first, pair.second, pair.turned) for pair in find_near_duplicates(thumbnails)]


def test_different_pictures():
    assert pairs(pictures(300)) == []
    assert pairs(pictures(1)) == pairs(np.empty((0, 32, 32), np.float32)) == []


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarter", range(4))
def test_a_copy_in_every_orientation(quarter, mirrored):
    shown = pictures(400)
    copy = np.rot90(shown[7], quarter)
    shown[350] = 0.8 * (np.fliplr(copy) if mirrored else copy) + 12
    assert pairs(shown) == [(7, 350, bool(quarter or mirrored))]
    assert find_near_duplicates(shown)[0].correlation > SAME


def test_nothing_to_see_resembles_nothing():
    shown = pictures(3)
    shown[1:] = 200 + np.random.default_rng(0).normal(0, 0.5, (1, 32, 32))
    assert pairs(shown) == []
