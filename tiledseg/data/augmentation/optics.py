"""What stain, microscope, camera and file do to a training crop, in the order they do it."""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config import AugmentationSettings
from tiledseg.data.augmentation.color import restain

_UNSEEN = 0.25
"""Sigma of a blur, in pixels, below which nothing is to be seen."""
_UNSHARP = (5, 5)
"""Kernel of a Gaussian of sigma 1."""
_SHEET_MEAN, _SHEET_SPREAD = 128, 40.0
"""Mean and standard deviation of the bytes of a sheet of noise."""
_SHEET_SPARE = 512
"""By how much a sheet is higher and wider than a crop: so many windows to choose from, squared."""

Pixels = NDArray[np.uint8]


def is_optical(settings: AugmentationSettings) -> bool:
    """True where any of these changes is asked for."""
    return any(
        (
            settings.stain,
            settings.gamma,
            settings.blur,
            settings.sharpening,
            settings.noise,
            settings.jpeg,
        )
    )


def apply_optics(image: Pixels, rng: np.random.Generator, settings: AugmentationSettings) -> Pixels:
    """Change stain, focus, gamma, noise and compression of a crop at random.

    Args:
        image: (h, w, 3) RGB or (h, w, 1) gray, uint8.
        rng: Source of randomness.
        settings: Which changes, and how large.

    Returns:
        An image of the same shape; each change leaves every pixel where it is.
    """
    amounts = 1.0 + settings.stain * rng.uniform(-1.0, 1.0, 3)
    bend = settings.gamma * float(rng.uniform(-1.0, 1.0))
    sigma, weight, spread, loss = (
        rng.random(4) * (settings.blur, settings.sharpening, settings.noise, settings.jpeg)
    ).tolist()
    shape = image.shape
    if settings.stain and shape[2] == 3:
        image = restain(image, amounts)
    if sigma > _UNSEEN:
        side = 2 * math.ceil(2.5 * sigma) + 1
        image = np.asarray(cv2.GaussianBlur(image, (side, side), sigma)).reshape(shape)
    if bend:
        exponent = 1.0 + bend if bend > 0.0 else 1.0 / (1.0 - bend)
        table = np.rint(255.0 * (np.arange(256) / 255.0) ** exponent).astype(np.uint8)
        image = np.asarray(cv2.LUT(image, table)).reshape(shape)
    if spread:
        image = _add_noise(image, 255.0 * spread, rng)
    if weight:
        blurred = cv2.GaussianBlur(image, _UNSHARP, 1.0).reshape(shape)
        image = np.asarray(cv2.addWeighted(image, 1.0 + weight, blurred, -weight, 0.0))
        image = image.reshape(shape)
    quality = round(100.0 - loss)
    return (_compress(image, quality) if quality < 100 else image).reshape(shape)


def _add_noise(image: Pixels, spread: float, rng: np.random.Generator) -> Pixels:
    """Add normal noise: a window of a sheet that is drawn once, and scaled.

    Numbers of its own for every pixel of every crop would take longer than to read the crop.
    """
    rows = image.reshape(len(image), -1)
    height, width = rows.shape
    sheet = _sheet(height + _SHEET_SPARE, width + _SHEET_SPARE)
    top, left = rng.integers(0, _SHEET_SPARE, 2)
    window = sheet[top : top + height, left : left + width]
    gain = spread / _SHEET_SPREAD
    noisy = cv2.addWeighted(rows, 1.0, window, gain, -gain * _SHEET_MEAN)
    return np.asarray(noisy, np.uint8).reshape(image.shape)


@lru_cache(maxsize=2)
def _sheet(height: int, width: int) -> Pixels:
    drawn = np.random.default_rng(0).standard_normal((height, width), np.float32)
    sheet: Pixels = np.clip(np.rint(_SHEET_MEAN + _SHEET_SPREAD * drawn), 0, 255).astype(np.uint8)
    return sheet


def _compress(image: Pixels, quality: int) -> Pixels:
    """Compress as JPEG and decompress; OpenCV takes the first of three channels for blue."""
    color = image.shape[2] == 3
    given = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if color else image
    _, stream = cv2.imencode(".jpg", given, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(
        cv2.imdecode(stream, cv2.IMREAD_COLOR_RGB if color else cv2.IMREAD_GRAYSCALE), np.uint8
    )
