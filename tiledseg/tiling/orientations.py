"""Test-time augmentation: the mean answer over the orientations of an image.

Microscopy knows no up and down, so each of the eight orientations is as good a view as the
next, and their mean is wrong less often than any one of them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = tuple((turns, mirrored) for turns in (0, 2, 1, 3) for mirrored in (False, True))
"""Quarter turns and whether mirrored before them. Each power of two of the first is a group of
its own: as it is; with its mirror image; with the half turns; all eight."""


def predict_oriented(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    image: NDArray[np.uint8],
    orientations: int,
) -> NDArray[np.float32]:
    """Average what is predicted for several orientations of an image.

    Args:
        predict: Maps an image (H, W, C) of any size to values (H, W, K), float32.
        image: (H, W, C), uint8.
        orientations: How many of ``ORIENTATIONS``, from the first; 1 is the image as it is.

    Returns:
        (H, W, K), float32, in the image's own orientation.
    """
    total = predict(image)
    for turns, mirrored in ORIENTATIONS[1:orientations]:
        seen = image[:, ::-1] if mirrored else image
        answer = np.rot90(predict(np.ascontiguousarray(np.rot90(seen, turns))), -turns)
        total = total + (answer[:, ::-1] if mirrored else answer)
    return total / np.float32(orientations) if orientations > 1 else total
