"""What stain, microscope, camera and file do to a training crop, in the order they do it."""

import math
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.data.augment_color import restained
from tiledseg.settings import AugmentationSettings

_UNSEEN = 0.25
"""Sigma of a blur, in pixels, below which nothing is to be seen."""
_UNSHARP = (5, 5)
"""Kernel of a Gaussian of sigma 1."""
_QUANTILES = np.array([NormalDist().inv_cdf((level + 0.5) / 256) for level in range(256)])
"""Normal deviates, as likely as one another: a random byte picks one."""
_MIDDLE = 128

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


def seen_otherwise(
    image: Pixels, rng: np.random.Generator, settings: AugmentationSettings
) -> Pixels:
    """Change stain, focus, gamma, noise and compression of a crop at random.

    Args:
        image: (h, w, 3) RGB or (h, w, 1) grey, uint8.
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
        image = restained(image, amounts)
    if sigma > _UNSEEN:
        side = 2 * math.ceil(2.5 * sigma) + 1
        image = np.asarray(cv2.GaussianBlur(image, (side, side), sigma)).reshape(shape)
    if bend:
        exponent = 1.0 + bend if bend > 0.0 else 1.0 / (1.0 - bend)
        table = np.rint(255.0 * (np.arange(256) / 255.0) ** exponent).astype(np.uint8)
        image = np.asarray(cv2.LUT(image, table)).reshape(shape)
    if spread:
        image = _noisy(image, 255.0 * spread, rng)
    if weight:
        blurred = cv2.GaussianBlur(image, _UNSHARP, 1.0).reshape(shape)
        image = np.asarray(cv2.addWeighted(image, 1.0 + weight, blurred, -weight, 0.0))
        image = image.reshape(shape)
    quality = round(100.0 - loss)
    return (_compressed(image, quality) if quality < 100 else image).reshape(shape)


def _noisy(image: Pixels, spread: float, rng: np.random.Generator) -> Pixels:
    table = np.clip(np.rint(_MIDDLE + spread * _QUANTILES), 0, 255).astype(np.uint8)
    drawn = rng.integers(0, 2**64, image.size // 8 + 1, np.uint64)  # whole words are drawn fastest
    bytes_ = drawn.astype("<u8", copy=False).view(np.uint8)[: image.size]
    noise = cv2.LUT(bytes_, table).reshape(image.shape)
    return np.asarray(cv2.addWeighted(image, 1.0, noise, 1.0, -float(_MIDDLE))).reshape(image.shape)


def _compressed(image: Pixels, quality: int) -> Pixels:
    """Through JPEG and back; OpenCV takes the first of three channels for blue."""
    color = image.shape[2] == 3
    given = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if color else image
    _, stream = cv2.imencode(".jpg", given, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(
        cv2.imdecode(stream, cv2.IMREAD_COLOR_RGB if color else cv2.IMREAD_GRAYSCALE), np.uint8
    )
