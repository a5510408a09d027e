"""Masks whose pixels name a class: label images, palettes and colors, as label maps.

A palette's index is the label. Gray files of 1, 2 and 4 bits are read as the numbers they hold,
which readers of pictures stretch to 255.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg.config import DatasetSettings
from tiledseg.errors import DatasetError
from tiledseg.images.bit_depth import unstretch
from tiledseg.images.reading import (
    read_as_stored,
    read_header,
    read_indices,
    read_mask,
    read_mask_brightness,
)
from tiledseg.masks.classes import IGNORED, Labels

_LOSSY_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".jp2", ".j2k")
LOSSY_TOLERANCE = 48
"""Most that JPEG changes a channel of a flat color near an edge, about; lossless: nothing."""


def read_labels(path: Path, settings: DatasetSettings) -> Labels:
    """Read one mask file by ``settings.mask_form``, which is labels or colors.

    Returns:
        (H, W), uint8: labels from 0, and ``IGNORED`` where the file holds ``ignore_label``.

    Raises:
        DatasetError: A value or color belongs to no class.
        ImageError: The file cannot be read.
    """
    if settings.mask_form == "colors":
        return _labels_of_colors(path, settings)
    values = read_label_values(path)
    labels = values.astype(np.uint8)
    unknown = (values < 0) | (values >= len(settings.classes))
    if settings.ignore_label is not None:
        ignored = values == settings.ignore_label
        labels[ignored] = IGNORED
        unknown &= ~ignored
    if unknown.any():
        found = int(values[unknown][0])
        highest = len(settings.classes) - 1
        raise DatasetError(
            f"{path}: holds the value {found} ({int(np.count_nonzero(unknown))} pixels with "
            f"values that are no class), but classes are 0 to {highest} "
            f"({', '.join(settings.classes)}); mend the mask, add to dataset.classes, or set "
            f"dataset.ignore_label: {found}"
        )
    return labels


def read_label_values(path: Path) -> NDArray[Any]:
    """Read the numbers that a mask file holds: gray values as stored, or indices of a palette.

    Returns:
        (H, W), integers.

    Raises:
        DatasetError: The file holds colors.
        ImageError: The file cannot be read.
    """
    header = read_header(path)
    if header.pages > 1:
        raise DatasetError(
            f"{path}: has {header.pages} pages, and labels stand on one; save it as one page, or "
            "use dataset.mask_form nonzero, which unites them"
        )
    if header.dtype.kind not in "iub":
        raise DatasetError(f"{path}: holds {header.dtype} values, no labels; save whole numbers")
    if header.palette and header.kind != "bmp":  # whose gray files have one, too
        values = read_indices(path)
    else:
        pixels = colors_of(read_as_stored(path))
        if (pixels != pixels[..., :1]).any():
            raise DatasetError(
                f"{path}: holds colors, not labels; use dataset.mask_form colors with "
                "dataset.mask_colors"
            )
        values = unstretch(pixels[..., 0], header.bits) if header.kind == "png" else pixels[..., 0]
    return values


def read_label_map(path: Path, threshold: int | None) -> Labels:
    """Read a mask as ``encode_mask`` leaves it: 0 and 255, or labels.

    Args:
        path: A mask of 0 and 255, or a gray PNG of labels.
        threshold: Foreground is brighter than this, on the 8-bit scale; None for a file of labels.

    Returns:
        (H, W), uint8; 0 and 1 of a mask of foreground.

    Raises:
        ImageError: The file cannot be read.
    """
    if threshold is None:
        return read_mask_brightness(path)
    return read_mask(path, threshold).view(np.uint8)


def colors_of(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels as (H, W, 1) or (H, W, 3), without alpha."""
    if pixels.ndim == 2:
        return pixels[..., np.newaxis]
    return pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]


def is_lossy(path: Path) -> bool:
    """Whether the file's format changes values, or may."""
    return path.suffix.lower() in _LOSSY_SUFFIXES


def rgb_of(color: str) -> tuple[int, int, int]:
    """Red, green and blue of ``#rrggbb``."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def _labels_of_colors(path: Path, settings: DatasetSettings) -> Labels:
    """Label by the nearest color in a lossy file, by the exact color in others."""
    if read_header(path).pages > 1:
        raise DatasetError(f"{path}: has several pages; save the one with all classes alone")
    stored = colors_of(read_as_stored(path))
    if stored.dtype != np.uint8:
        raise DatasetError(f"{path}: holds {stored.dtype} colors; save it with 8 bits a channel")
    pixels = np.broadcast_to(stored, (*stored.shape[:2], 3))
    colors = {index: rgb_of(color) for index, color in enumerate(settings.mask_colors)}
    if isinstance(settings.ignore_label, str):
        colors[IGNORED] = rgb_of(settings.ignore_label)
    labels = np.zeros(pixels.shape[:2], np.uint8)
    if is_lossy(path):
        nearest = np.full(labels.shape, np.inf, np.float32)
        for label, color in colors.items():
            apart = np.square(pixels - np.array(color, np.float32)).sum(axis=-1)
            labels[apart < nearest] = label
            nearest = np.minimum(nearest, apart)
        return labels
    unknown = np.ones(labels.shape, np.bool_)
    for label, color in colors.items():
        own = (pixels == np.array(color, np.uint8)).all(axis=-1)
        labels[own] = label
        unknown &= ~own
    if unknown.any():
        red, green, blue = pixels[unknown][0].tolist()
        name = f"#{red:02x}{green:02x}{blue:02x}"
        raise DatasetError(
            f"{path}: holds the color {name} ({int(np.count_nonzero(unknown))} pixels with "
            "colors of no class); mend the mask, add to dataset.mask_colors, or set "
            f"dataset.ignore_label: '{name}'"
        )
    return labels
