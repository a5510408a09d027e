"""The only writer of images and masks: each file whole, or not at all."""

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiledseg.errors import OutputError
from tiledseg.images.atomic import atomic_file
from tiledseg.masks.classes import Labels, label_palette

_ENCODING = {
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".tif": (cv2.IMWRITE_TIFF_COMPRESSION, 8),  # deflate, which every reader knows
    ".tiff": (cv2.IMWRITE_TIFF_COMPRESSION, 8),
}
WRITTEN_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")
_AT_ONCE = 2**18
"""Probabilities that are scaled together: their float64 stays in the processor's cache."""


def write_image(path: Path, image: NDArray[np.uint8], *, lasting: bool = False) -> None:
    """Write an image, whole or not at all; the suffix chooses the format (JPEG quality 95).

    Args:
        path: The file; its folder is made if missing.
        image: (H, W, 3) RGB, (H, W, 1) or (H, W); uint8.
        lasting: See ``atomic_file``. Most pictures are parts of a draft, which is flushed as a
            whole before it gets its name.

    Raises:
        OutputError: The suffix is unknown, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise OutputError(f"{path}: cannot write {suffix!r}; use {', '.join(WRITTEN_SUFFIXES)}")
    color = image.ndim == 3 and image.shape[2] == 3
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if color else image
    try:
        fits, encoded = cv2.imencode(suffix, pixels, _ENCODING.get(suffix, ()))
    except cv2.error:
        fits, encoded = False, np.empty(0, np.uint8)
    if not fits:
        raise OutputError(
            f"{path}: a picture of shape {image.shape} does not fit into {suffix}; use .png or .tif"
        )
    with atomic_file(path, lasting=lasting) as file:
        file.write(encoded.tobytes())


def write_mask(path: Path, mask: NDArray[Any], *, lasting: bool = False) -> None:
    """Write a binary mask as a gray PNG of 0 and 255, whole or not at all.

    Args:
        path: The file, ending in .png.
        mask: (H, W), bool or integers; anything but 0 is foreground.
        lasting: As for ``write_image``.

    Raises:
        OutputError: The suffix is another, or the file cannot be written.
    """
    _require_png(path)
    write_image(path, (mask != 0).astype(np.uint8) * np.uint8(255), lasting=lasting)


def write_labels(path: Path, labels: Labels, count: int) -> None:
    """Write a label map as a PNG whose pixels are indices of a palette, whole or not at all.

    The index is the label; the colors are those of ``tiledseg.masks.classes``.

    Args:
        path: The file, ending in .png.
        labels: (H, W), uint8.
        count: Labels there may be, background included.

    Raises:
        OutputError: The suffix is another, or the file cannot be written.
    """
    _require_png(path)
    if not labels.size:
        raise OutputError(f"{path}: labels of shape {labels.shape} do not fit into a PNG")
    picture = Image.fromarray(np.ascontiguousarray(labels))
    picture.putpalette(label_palette(count).tobytes())
    with atomic_file(path, lasting=False) as file:
        # Label maps are runs of equal values: zlib's own way with them is faster and packs smaller.
        picture.save(file, "PNG", compress_type=zlib.Z_RLE)


def write_target(path: Path, target: Labels, count: int) -> None:
    """Write a target as runs keep it: 0 and 255 of one class that is known everywhere, else labels.

    Args:
        path: The file, ending in .png.
        target: (H, W), uint8, with ``IGNORED`` where it is not known.
        count: Labels there may be, background included.

    Raises:
        OutputError: The suffix is another, or the file cannot be written.
    """
    if (target > 1).any() or count > 2:
        write_labels(path, target, count)
    else:
        write_mask(path, target)


def write_probability(path: Path, probability: NDArray[np.floating[Any]]) -> None:
    """Write probabilities as a gray PNG of 8 bits, whole or not at all.

    The value is ``floor(255 p + 1/2)``. 127.5 lies half-way between two values and is rounded
    up, so a pixel reads back as value / 255 >= 0.5 exactly where p >= 0.5: a threshold on
    the file gives the same mask as on the probabilities.

    Args:
        path: The file, ending in .png.
        probability: (H, W), any float dtype, in [0, 1] (values outside are clipped).

    Raises:
        OutputError: The suffix is another, a value is not a number, or the file cannot be
            written.
    """
    _require_png(path)
    if np.isnan(probability).any():
        raise OutputError(
            f"{path}: the prediction holds values that are not numbers; the model has diverged, "
            "train it again with a lower learning rate"
        )
    write_image(path, quantize_probability(probability))


def quantize_probability(probability: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Round probabilities to 8 bits, as ``write_probability`` has it.

    Args:
        probability: Any shape and float dtype, in [0, 1] (values outside are clipped).

    Returns:
        The same shape, uint8; at least 128 exactly where the probability is at least 0.5.
    """
    given = np.ascontiguousarray(probability)
    quantized = np.empty(given.shape, np.uint8)
    values, written = given.reshape(-1), quantized.reshape(-1)
    for first in range(0, values.size, _AT_ONCE):
        piece = slice(first, first + _AT_ONCE)
        # float64: its product with 255 cannot round up across 127.5, and no input dtype is wider.
        scaled = values[piece].astype(np.float64) * 255.0
        written[piece] = np.floor(np.clip(scaled, 0.0, 255.0, out=scaled) + 0.5)
    return quantized


def _require_png(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: masks must not lose precision; use the suffix .png")
