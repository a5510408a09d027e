import cv2
import numpy as np

from tiledseg.masks.drawing import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_POSITIVE,
    difference,
    overlay,
)


def test_difference_has_one_color_for_each_case():
    target = np.array([[True, True, False, False]])
    predicted = np.array([[True, False, True, False]])
    assert difference(target, predicted)[0].tolist() == [
        list(TRUE_POSITIVE),
        list(FALSE_NEGATIVE),
        list(FALSE_POSITIVE),
        [0, 0, 0],
    ]


def test_overlay_changes_the_mask_and_its_outline_only():
    image = np.full((60, 60, 3), 200, np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    painted = overlay(image, mask)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert (painted[~near] == 200).all()
    assert (painted[mask] != 200).any(axis=-1).all()
    assert (image == 200).all()


def test_overlay_of_an_empty_mask_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    assert np.array_equal(overlay(image, np.zeros((9, 11), bool)), image)
