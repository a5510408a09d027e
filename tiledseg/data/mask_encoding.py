"""Conversion of masks (several files, colors, values) into one file of 0 and 255, or of labels.

What comes out is a PNG in the cache folder, named by the bytes it was made from and the rule, so
that everything behind it reads one form of mask.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg.config import DatasetSettings
from tiledseg.data.cache import default_cache_folder
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.hashing import hash_content
from tiledseg.images.label_files import LOSSY_TOLERANCE, colors_of, is_lossy, read_labels, rgb_of
from tiledseg.images.place_lock import take_turn
from tiledseg.images.reading import read_mask, read_pages
from tiledseg.images.writing import write_image, write_mask

_FORMAT = "tiledseg-mask-2"
"""Changed whenever another mask comes out."""


def encode_mask(sample: Sample, settings: DatasetSettings) -> Sample:
    """Convert a sample's masks into one file of 0 and 255, or of labels, unless it is there.

    A file of labels is a gray PNG of 8 bits whose values are the labels.

    Args:
        sample: One whose masks are of another form has ``sources``; others come back as they are.
        settings: How masks are read.

    Raises:
        DatasetError: Masks of one image differ in size, or one holds what is no class.
        ImageError: A mask cannot be read.
        OutputError: The cache folder cannot be written.
    """
    if not sample.sources:
        return sample
    path = default_cache_folder() / "masks" / f"{digest_masks(sample, settings)}.png"
    if not path.is_file():
        with take_turn(path):
            if not path.is_file():
                _write(sample, path, settings)
    return replace(sample, mask=path)


def _write(sample: Sample, path: Path, settings: DatasetSettings) -> None:
    """Write the converted mask, which is trusted by its name from then on."""
    try:
        if settings.holds_labels:
            write_image(path, read_labels(sample.sources[0], settings), lasting=True)
        else:
            write_mask(path, read_union(sample.sources, settings), lasting=True)
    except OutputError as error:
        raise OutputError(
            f"{error}; point TILEDSEG_CACHE at a folder that can be written and has room"
        ) from None


def digest_pair(sample: Sample, settings: DatasetSettings) -> tuple[str, str]:
    """Digest a sample's image, and its mask as it is read; 32 hexadecimal digits each.

    Raises:
        ImageError: A file cannot be read.
    """
    mask = digest_masks(sample, settings) if sample.sources else hash_content(sample.mask)
    return hash_content(sample.image), mask


def digest_masks(sample: Sample, settings: DatasetSettings) -> str:
    """Digest the mask files' bytes and the rule that reads them, to 32 hexadecimal digits."""
    rule = f"{settings.mask_form} {settings.mask_threshold} {settings.mask_values}"
    if settings.holds_labels:
        colors = " ".join(settings.mask_colors)
        rule = f"{settings.mask_form} {len(settings.classes)} {colors} {settings.ignore_label}"
    parts = (_FORMAT, rule, *(hash_content(path) for path in sample.sources))
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def read_union(paths: Sequence[Path], settings: DatasetSettings) -> NDArray[np.bool_]:
    """Read the union of several masks.

    Args:
        paths: At least one.
        settings: How masks are read.

    Returns:
        (H, W), bool.

    Raises:
        DatasetError: They differ in size.
        ImageError: One cannot be read.
    """
    union = read_foreground(paths[0], settings)
    for path in paths[1:]:
        mask = read_foreground(path, settings)
        if mask.shape != union.shape:
            raise DatasetError(
                f"{path}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels, but {paths[0]} of "
                f"the same image is {union.shape[1]} x {union.shape[0]}; export them at one size"
            )
        union |= mask
    return union


def read_foreground(path: Path, settings: DatasetSettings) -> NDArray[np.bool_]:
    """Read one mask file by the rule of ``settings.mask_form``; its pages are united.

    Returns:
        (H, W), bool.

    Raises:
        ImageError: The file cannot be read.
    """
    if settings.mask_form == "threshold":
        return read_mask(path, settings.mask_threshold)
    tolerance = LOSSY_TOLERANCE if is_lossy(path) else 0
    pages = (colors_of(page) for page in read_pages(path))
    return np.asarray(reduce(np.bitwise_or, (_mark(page, settings, tolerance) for page in pages)))


def _mark(pixels: NDArray[Any], settings: DatasetSettings, tolerance: int) -> NDArray[np.bool_]:
    """Foreground of pixels as stored, (H, W, C)."""
    if settings.mask_form == "nonzero":
        return np.asarray((pixels > tolerance).any(axis=-1))
    found = np.zeros(pixels.shape[:2], np.bool_)
    for value in settings.mask_values.replace(",", " ").split():
        wanted = np.array(_channels(value), np.int64)
        apart = np.abs(pixels.astype(np.int64) - wanted).max(axis=-1)
        found |= apart <= tolerance
    return found


def _channels(value: str) -> list[int]:
    """Parse a value: a number for gray, ``#rrggbb`` for red, green and blue."""
    if not value.startswith("#"):
        return [int(value)]
    return list(rgb_of(value))
