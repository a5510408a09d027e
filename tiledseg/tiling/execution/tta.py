"""Test-time augmentation: the mean answer over the orientations of a window.

Microscopy knows no up and down, so each of the eight orientations is as good a view as the
next, and their mean is wrong less often than any one of them. Windows are turned one by one:
their sides and origins are multiples of the network's stride from either end of the padded
image, so that a turned window gives what the turned image would give there.
"""

import numpy as np

from tiledseg.tiling.geometry.regions import Forward, Probabilities, Windows

ORIENTATIONS = tuple((turns, mirrored) for turns in (0, 2, 1, 3) for mirrored in (False, True))
"""Quarter turns and whether mirrored before them. Each power of two of the first is a group of
its own: as it is; with its mirror image; with the half turns; all eight."""


def average_tta(forward: Forward, orientations: int) -> Forward:
    """A forward pass that averages what is predicted for several orientations.

    Args:
        forward: Maps windows (B, h, w, C) of any size to values (B, h, w, K).
        orientations: How many of ``ORIENTATIONS``, from the first; 1 is the window as it is.

    Returns:
        Maps windows to their mean values, in their own orientation.
    """
    if orientations == 1:
        return forward

    def mean(windows: Windows) -> Probabilities:
        total = forward(windows)
        for turns, mirrored in ORIENTATIONS[1:orientations]:
            seen = windows[:, :, ::-1] if mirrored else windows
            turned = np.ascontiguousarray(np.rot90(seen, turns, axes=(1, 2)))
            answer = np.rot90(forward(turned), -turns, axes=(1, 2))
            total = total + (answer[:, :, ::-1] if mirrored else answer)
        return total / np.float32(orientations)

    return mean
