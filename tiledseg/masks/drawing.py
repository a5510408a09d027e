"""Masks drawn for people: over an image, and against the target.

Colors are from Okabe & Ito, "Color Universal Design", 2008, which color-blind people can
tell apart.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.masks.classes import IGNORED, Labels, class_colors, label_palette

GREEN = class_colors(2)[1]
"""A mask over an image, and the outlines of one."""
TRUE_POSITIVE = (255, 255, 255)
"""Foreground of both target and prediction."""
FALSE_POSITIVE = (230, 159, 0)
"""Foreground that the target does not have."""
FALSE_NEGATIVE = (86, 180, 233)
"""Foreground of the target that the prediction does not have."""
CONFUSED = (204, 121, 167)
"""Foreground of both, of different classes."""


def overlay(image: NDArray[np.uint8], labels: Labels | NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw every class on the image, translucent with an outline; one class is green.

    Args:
        image: (H, W, 3) RGB.
        labels: (H, W), uint8; or a mask, bool.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    shown = image.copy()
    thickness = max(1, round(max(labels.shape) / 1000))
    for label in np.unique(labels):
        if label in (0, IGNORED):
            continue
        color, mask = class_colors(int(label) + 1)[-1], labels == label
        shown[mask] = (0.6 * image[mask] + 0.4 * np.array(color, np.float32)).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, outlines, -1, color, thickness)
    return shown


def difference(
    target: Labels | NDArray[np.bool_], predicted: Labels | NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Draw true positives white, false positives orange, false negatives blue.

    Purple is one class taken for another; gray is where the target is not known.

    Args:
        target: (H, W), labels; or a mask, bool.
        predicted: (H, W), labels; or a mask, bool.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    target, predicted = target.astype(np.uint8), predicted.astype(np.uint8)
    drawn = np.zeros((*target.shape, 3), np.uint8)
    drawn[(target > 0) & (target == predicted)] = TRUE_POSITIVE
    drawn[(target == 0) & (predicted > 0)] = FALSE_POSITIVE
    drawn[(target > 0) & (predicted == 0)] = FALSE_NEGATIVE
    drawn[(target > 0) & (predicted > 0) & (target != predicted)] = CONFUSED
    drawn[target == IGNORED] = label_palette(2)[IGNORED]
    return drawn
