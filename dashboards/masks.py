"""Reading stored masks: one class, all classes together, or one of several.

A run of one class keeps probabilities of 8 bits; one of several keeps labels, as the indices of
a palette.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiledseg.images.reading import read_header, read_indices, read_mask, read_mask_brightness
from tiledseg.masks.classes import Labels, foreground


def read_probability(path: Path, label: int | None = None) -> NDArray[np.uint8]:
    """How probable foreground is, 0 to 255.

    Args:
        path: Probabilities, a mask of 0 and 255, or labels.
        label: Of labels, the class that is shown; None shows every class but the background.

    Returns:
        (H, W), uint8; of labels 0 or 255.

    Raises:
        ImageError: The file cannot be read.
    """
    if not holds_labels(path):
        return read_mask_brightness(path)
    labels = read_indices(path)
    shown = foreground(labels) if label is None else labels == label
    return shown * np.uint8(255)


def read_labels(path: Path) -> Labels:
    """Labels of a stored mask or target, (H, W), uint8; 0 and 1 where it holds one class.

    Raises:
        ImageError: The file cannot be read.
    """
    if holds_labels(path):
        return np.asarray(read_indices(path), np.uint8)
    return read_mask(path).view(np.uint8)


def holds_labels(path: Path) -> bool:
    """Whether a file holds several classes.

    Raises:
        ImageError: The file cannot be read.
    """
    header = read_header(path)
    return header.palette and header.kind == "png"
