import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tiledseg.data.sampling.hard_negatives import ColorContrast
from tiledseg.masks.classes import IGNORED

PURPLE = (90, 40, 150)
PINK = (220, 150, 170)
PAPER = (240, 235, 238)

Drawing = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def drawn(
    cells: list[tuple[int, int]],
    dirt: list[tuple[int, int, int]],
    *,
    shape: tuple[int, int] = (400, 500),
) -> Drawing:
    """Purple disks of radius 20 that are objects, and purple disks that are none; (x, y, radius).

    Every image has a red cell, and paper.
    """
    image = np.full((*shape, 3), PAPER, np.uint8)
    mask = np.zeros(shape, np.uint8)
    cv2.circle(image, (60, 60), 30, PINK, -1)
    for center in cells:
        cv2.circle(image, center, 20, PURPLE, -1)
        cv2.circle(mask, center, 20, 1, -1)
    for x, y, radius in dirt:
        cv2.circle(image, (x, y), radius, PURPLE, -1)
    return image, mask


CLEAN = drawn([(200, 100), (300, 300)], [])
DIRTY = drawn([(200, 100)], [(400, 300, 25), (100, 320, 15)])


def test_every_region_that_looks_like_an_object_and_is_none_is_found() -> None:
    points = ColorContrast([CLEAN, DIRTY]).points(*DIRTY)
    assert points.shape == (2, 8, 2)
    assert points.dtype == np.int32
    for region, (x, y, radius) in zip(points, [(400, 300, 25), (100, 320, 15)], strict=True):
        assert np.all(np.hypot(region[:, 0] - y, region[:, 1] - x) <= radius)


def test_objects_and_their_rims_are_none() -> None:
    image, mask = drawn([(200, 100), (300, 300)], [])
    # Drawn by hand: the outline misses a pixel or two all around.
    sloppy = np.asarray(cv2.erode(mask, np.ones((5, 5), np.uint8)), np.uint8)
    assert ColorContrast([(image, sloppy)]).points(image, sloppy).shape == (0, 8, 2)


def test_pixels_whose_target_is_not_known_are_neither() -> None:
    image, mask = DIRTY
    doubtful = mask.copy()
    cv2.circle(doubtful, (400, 300), 25, IGNORED, -1)
    points = ColorContrast([CLEAN, (image, doubtful)]).points(image, doubtful)
    assert len(points) == 1
    assert np.all(np.hypot(points[0, :, 0] - 320, points[0, :, 1] - 100) <= 15)


def test_specks_much_smaller_than_objects_are_left_out() -> None:
    speck = drawn([(200, 100)], [(400, 300, 6)])
    assert len(ColorContrast([CLEAN, speck]).points(*speck)) == 0


def test_large_images_are_compared_reduced_and_points_lie_at_full_scale() -> None:
    image, mask = (
        np.repeat(np.repeat(pixels, 5, axis=0), 5, axis=1) for pixels in (DIRTY[0], DIRTY[1])
    )
    points = ColorContrast([(image, mask)]).points(image, mask)
    assert len(points) == 2
    for region, (x, y, radius) in zip(points, [(400, 300, 25), (100, 320, 15)], strict=True):
        assert np.all(np.hypot(region[:, 0] - 5 * y, region[:, 1] - 5 * x) <= 5 * radius)


def test_gray_images_are_told_apart_by_their_shade() -> None:
    pairs = [
        (np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., np.newaxis], mask)
        for image, mask in (CLEAN, DIRTY)
    ]
    assert len(ColorContrast(pairs).points(*pairs[1])) == 2


def test_without_objects_nothing_looks_like_one() -> None:
    image, _ = DIRTY
    empty = np.zeros(image.shape[:2], np.uint8)
    assert len(ColorContrast([(image, empty)]).points(image, empty)) == 0


@pytest.mark.parametrize("side", [1, 7, 31])
def test_tiny_images(side: int) -> None:
    image, mask = np.zeros((side, side, 3), np.uint8), np.ones((side, side), np.uint8)
    assert len(ColorContrast([(image, mask)]).points(image, mask)) == 0


def test_images_of_different_channels_are_refused() -> None:
    image, mask = CLEAN
    with pytest.raises(ValueError, match=r"one number of channels, got \[1, 3\]"):
        ColorContrast([CLEAN, (image[..., :1], mask)])
    with pytest.raises(ValueError, match=r"got \[\]"):
        ColorContrast([])
