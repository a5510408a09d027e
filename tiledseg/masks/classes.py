"""Label maps: one number per pixel, how probabilities become one, and the colors it is shown in.

Labels count from 0, the background. One class is the same with two labels, 0 and 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORED = 255
"""Label of pixels whose target is not known: nothing learns from them or is scored on them."""

Labels = NDArray[np.uint8]
Color = tuple[int, int, int]

_COLORS: Sequence[Color] = (
    (0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167),
    (213, 94, 0), (240, 228, 66), (0, 114, 178), (200, 200, 200),
)  # fmt: skip
"""Okabe & Ito, "Color Universal Design", 2008, which color-blind people can tell apart, and a
gray. The brightest channel of each is above 127: a reader that knows no palettes and cuts there
sees background and foreground."""
_NOT_KNOWN: Color = (96, 96, 96)
_COUNTED_AT_ONCE = 2**20


def labels_of(probability: NDArray[np.floating[Any]]) -> Labels:
    """The label of every pixel.

    Args:
        probability: (H, W, 1), of the foreground, which is label 1 from 0.5 on; or (H, W, K), of
            each label, of which the most probable is taken, the first of equals.

    Returns:
        (H, W), uint8.
    """
    if probability.shape[2] == 1:
        return (probability[..., 0] >= 0.5).view(np.uint8)
    return np.asarray(probability.argmax(axis=2), np.uint8)


def move_threshold(probability: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Probabilities moved so that those at a threshold come to lie at 0.5.

    The odds are divided by the odds of the threshold, as a shift of the logits would do: the
    order stays, and so do 0 and 1.

    Args:
        probability: Any shape, in [0, 1].
        threshold: In (0, 1); 0.5 moves nothing.
    """
    if threshold == 0.5:
        return probability
    weighted = probability * np.float32((1.0 - threshold) / threshold)
    moved = weighted / (weighted + (np.float32(1.0) - probability))
    return np.asarray(moved, np.float32)


def count_values(values: Labels) -> NDArray[np.int64]:
    """How often each value occurs, (256,), int64.

    Args:
        values: (H, W), uint8. Counted in blocks of rows, since NumPy's own count makes a copy of
            eight bytes for each.
    """
    rows = max(1, _COUNTED_AT_ONCE // max(1, values.shape[1]))
    counts = np.zeros(256, np.int64)
    for start in range(0, len(values), rows):
        counts += np.bincount(values[start : start + rows].ravel(), minlength=256)
    return counts


def foreground(labels: Labels) -> NDArray[np.bool_]:
    """Where a label is known and not the background; bool, of the same shape."""
    return np.asarray((labels > 0) & (labels != IGNORED))


def class_colors(count: int) -> list[Color]:
    """Colors of so many labels, RGB; black is the background, and colors repeat beyond 8."""
    return [(0, 0, 0), *(_COLORS[index % len(_COLORS)] for index in range(count - 1))]


def label_palette(count: int) -> NDArray[np.uint8]:
    """A color for every value of a label map: (256, 3), uint8 RGB; gray where not known.

    Args:
        count: Labels, background included; other values are black.
    """
    palette = np.zeros((256, 3), np.uint8)
    palette[:count] = class_colors(count)
    palette[IGNORED] = _NOT_KNOWN
    return palette


def paint(labels: Labels, count: int) -> NDArray[np.uint8]:
    """Labels (H, W) in their colors on black, (H, W, 3) uint8 RGB."""
    return label_palette(count)[labels]
