"""Colors that mean something differ for people with every common kind of color vision."""

import itertools

import cv2
import numpy as np
import pytest

from tiledseg.masks.drawing import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE

# ruff: noqa: E501 - matrices read best as matrices.

# Machado, Oliveira & Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", 2009, severity 1.0, on linear RGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def seen(color, vision):
    """CIE L*a*b* of an sRGB color as a person with this vision sees it."""
    value = np.array(color) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    back = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(back.astype(np.float32).reshape(1, 1, 3), cv2.COLOR_RGB2LAB).ravel()


@pytest.mark.parametrize("vision", VISION)
def test_errors_can_be_told_apart(vision):
    """A difference of 2.3 is just noticeable; these are ten times as far apart."""
    meanings = [TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE]
    for one, two in itertools.combinations(meanings, 2):
        assert np.linalg.norm(seen(one, vision) - seen(two, vision)) > 23
