"""Random changes to a training crop: where pixels lie, and how they look.

Image and mask move together, pixel for pixel; only the image changes its looks.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config import AugmentationSettings
from tiledseg.data.augmentation.color import apply_color, draw_color_jitter
from tiledseg.data.augmentation.optics import apply_optics, is_optical
from tiledseg.data.augmentation.warp import Flips, draw_map, is_warp, read_warped
from tiledseg.data.preprocessing import from_rgb, to_rgb
from tiledseg.data.sampling.crops import Window, read_crop, resize

_TURNS = (-1, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)

Pixels = NDArray[np.uint8]


def augment(
    image: Pixels,
    mask: Pixels,
    rng: np.random.Generator,
    settings: AugmentationSettings,
    color_space: str,
    window: Window | None = None,
) -> tuple[Pixels, Pixels]:
    """Cut a crop out of an image, changed at random.

    ``settings.scale`` is not applied here: it is the size of the window.

    Args:
        image: (H, W, C), uint8, in the network's color space; may be mapped from disk.
        mask: (H, W), uint8; any labels.
        rng: Source of all randomness; the same number of draws whatever the settings.
        settings: Which changes, and how large.
        color_space: ``rgb``, ``hsv`` (hue over 256 values), ``lab`` or ``gray``.
        window: What is shown; by default all of the image, as large as it is.

    Returns:
        Image and mask, (size, size) or of the shape of ``image`` (with rows and columns
        exchanged by a quarter turn), in memory of their own. The mask holds no label it did not
        hold before.
    """
    horizontal, vertical = rng.random(2) < 0.5
    turns = int(rng.integers(4)) * settings.quarter_turns
    flips = Flips(bool(horizontal and settings.hflip), bool(vertical and settings.vflip), turns)
    looks = draw_color_jitter(rng, settings)
    # Generators of their own: what they draw leaves the draws above what they always were.
    warping, seeing = rng.spawn(2)
    if is_warp(settings):
        crop, marked = _warp(image, mask, window, flips, warping, settings, color_space)
        if is_optical(settings):
            crop = apply_optics(crop, seeing, settings)
        crop = from_rgb(crop, color_space)
    else:
        crop, marked = (_flip(pixels, flips) for pixels in _crop(image, mask, window))
        if is_optical(settings):
            shown = apply_optics(to_rgb(crop, color_space), seeing, settings)
            crop = from_rgb(shown, color_space)
    return apply_color(crop, looks, color_space), marked


def _crop(image: Pixels, mask: Pixels, window: Window | None) -> tuple[Pixels, Pixels]:
    if window is None:
        return image, mask
    place = window.top, window.left, window.side
    return (
        resize(read_crop(image, *place), window.size, labels=False),
        resize(read_crop(mask, *place), window.size, labels=True),
    )


def _warp(
    image: Pixels,
    mask: Pixels,
    window: Window | None,
    flips: Flips,
    rng: np.random.Generator,
    settings: AugmentationSettings,
    color_space: str,
) -> tuple[Pixels, Pixels]:
    """The crop in RGB, and its mask."""
    if window is None:
        height, width = mask.shape
        shape = (width, height) if flips.turns % 2 else (height, width)
        center, zoom = ((height - 1) / 2, (width - 1) / 2), 1.0
    else:
        shape, zoom = (window.size, window.size), window.side / window.size
        middle = (window.side - 1) / 2
        center = window.top + middle, window.left + middle
    nodes = draw_map(shape, zoom, flips, rng, settings)
    return read_warped(image, mask, nodes, center, shape, zoom, color_space)


def _flip(pixels: Pixels, flips: Flips) -> Pixels:
    moved = np.ascontiguousarray(pixels)
    code = {(True, False): 1, (False, True): 0, (True, True): -1}.get(
        (flips.horizontal, flips.vertical)
    )
    if code is not None:
        moved = np.asarray(cv2.flip(moved, code))
    if flips.turns:
        moved = np.asarray(cv2.rotate(moved, _TURNS[flips.turns]))
    return moved.reshape(*moved.shape[:2], *pixels.shape[2:])
