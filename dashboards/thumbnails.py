"""Thumbnails of images, with masks painted over them.

They are made from pyramids that are there, else from the files: a strip of them must not wait
until every picture in it has been cut into tiles.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboards.masks import read_probability
from dashboards.pictures import Picture
from dashboards.pyramids import Kind, binarize, find_pyramid
from tiledseg.images.hashing import FileState, read_state
from tiledseg.images.reading import read_image
from tiledseg.masks.drawing import FALSE_NEGATIVE, FALSE_POSITIVE, GREEN, TRUE_POSITIVE

SIDE = 320
"""Largest side, in pixels."""
MOST_KEPT = 192
"""Reduced pictures that are remembered, at most 0.3 MB each."""


def thumbnail(picture: Picture) -> NDArray[np.uint8]:
    """A small picture, (h, w, 3) RGB.

    A mask without an image is white on black. Over an image it is green with an outline; against
    a target, what was found is tinted lightly, and errors strongly.

    Raises:
        ImageError: A file cannot be read.
    """
    if picture.under is None:
        shown = _reduce(picture.path, picture.kind, picture.label)
        return shown if picture.kind == "image" else np.repeat(shown[..., np.newaxis], 3, axis=2)
    image = _reduce(picture.under, "image")
    cover = _measure_cover(picture.path, image, picture.label)
    if picture.against is not None:
        return _paint_errors(image, cover, _measure_cover(picture.against, image, picture.label))
    inside = (cover >= 0.5).astype(np.uint8)
    edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8))
    share = np.maximum(0.45 * cover, edge * 0.95)[..., np.newaxis]
    return np.asarray(image * (1 - share) + np.array(GREEN) * share, np.uint8)


def _paint_errors(
    image: NDArray[np.uint8], cover: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.uint8]:
    found = np.minimum(cover, target)
    parts = (
        (0.45 * found, TRUE_POSITIVE),
        (cover - found, FALSE_POSITIVE),
        (target - found, FALSE_NEGATIVE),
    )
    shown = image.astype(np.float64)
    for share, color in parts:
        shown += share[..., np.newaxis] * (np.array(color) - shown)
    return shown.astype(np.uint8)


def _measure_cover(path: Path, image: NDArray[np.uint8], label: int | None) -> NDArray[np.float64]:
    """How much of each of an image's pixels a mask covers, 0 to 1."""
    size = (image.shape[1], image.shape[0])
    cover = cv2.resize(_reduce(path, "mask", label), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cover / 255.0, np.float64)


def _reduce(path: Path, kind: Kind, label: int | None = None) -> NDArray[np.uint8]:
    """(h, w, 3) RGB of an image; for a mask the covered share of each pixel, (h, w), 0 to 255."""
    return _decode(path, kind, label, read_state(path))


@lru_cache(maxsize=MOST_KEPT)
def _decode(path: Path, kind: Kind, label: int | None, _state: FileState) -> NDArray[np.uint8]:
    pyramid = find_pyramid(path, kind, label=label)
    if pyramid is not None:
        pixels = pyramid.reduce(2 * SIDE)  # of a level hardly larger it would be soft
    else:
        pixels = read_image(path) if kind == "image" else binarize(read_probability(path, label))
    factor = SIDE / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
