"""What the network is shown: stain, gamma, sharpening and color space, alike everywhere.

An image too large for memory is shown region by region, and looks as it would look in one piece:

    sample = PixelSample(height, width)            a first walk over the image
    for region, top, left in ...:
        sample.add(region, top, left)
    found = color_map(sample.pixels, settings)
    preprocess_region(region, settings, found)     a second; the region has preprocessing_halo()
                                                   pixels of context, which are cut off afterwards
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config import ImageSettings
from tiledseg.data.stain import ColorMap, color_map
from tiledseg.errors import ImageError

__all__ = [
    "ColorMap",
    "PixelSample",
    "color_map",
    "from_rgb",
    "preprocess",
    "preprocess_region",
    "preprocessing_halo",
    "to_rgb",
]

_FROM_RGB = {
    "hsv": cv2.COLOR_RGB2HSV_FULL,  # hue over the whole byte: 256 steps are a full turn
    "lab": cv2.COLOR_RGB2LAB,
    "gray": cv2.COLOR_RGB2GRAY,
}
_TO_RGB = {"hsv": cv2.COLOR_HSV2RGB_FULL, "lab": cv2.COLOR_LAB2RGB}
_UNSHARP_SIGMA = 1.0
_UNSHARP_SIDE = 7  # what cv2 would choose for the sigma in 8 bits; named for preprocessing_halo
_SAMPLED = 1024
"""Most rows and columns of a sample."""


class PixelSample:
    """Every so many rows and columns of an image, gathered from regions in any order.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        channels: Channels of its pixels.
    """

    def __init__(self, height: int, width: int, channels: int = 3) -> None:
        self._step = math.ceil(max(height, width) / _SAMPLED)
        shape = (-(-height // self._step), -(-width // self._step), channels)
        self.pixels: NDArray[np.uint8] = np.zeros(shape, np.uint8)
        """The sample, (h, w, channels), uint8; complete once every region was added."""

    def add(self, region: NDArray[np.uint8], top: int, left: int) -> None:
        """Take what belongs to the sample out of a region, (h, w, channels), at a place."""
        step = self._step
        taken = region[-top % step :: step, -left % step :: step]
        row, column = -(-top // step), -(-left // step)
        self.pixels[row : row + taken.shape[0], column : column + taken.shape[1]] = taken


def preprocess(image: NDArray[np.uint8], settings: ImageSettings) -> NDArray[np.uint8]:
    """Turn an image as stored into an image as the network sees it.

    Stain, then gamma, then sharpening (unsharp mask: v + w (v - blurred v)), all on the stored
    channels, then the color space.

    Args:
        image: (H, W, 3) RGB or (H, W, 1) gray, uint8; the whole image.
        settings: Stain, color space, channels, gamma and sharpening; the size is not used.

    Returns:
        (H, W, settings.channels), uint8, in memory of its own or ``image`` itself.

    Raises:
        ImageError: The image is not uint8, or has other axes.
    """
    _require_pixels(image)
    found = None
    if settings.stain != "none":
        sample = PixelSample(*image.shape)
        sample.add(image, 0, 0)
        found = color_map(sample.pixels, settings)
    return preprocess_region(image, settings, found)


def preprocess_region(
    region: NDArray[np.uint8], settings: ImageSettings, found: ColorMap | None
) -> NDArray[np.uint8]:
    """Turn a region of an image into what the network sees of it.

    Pixels nearer than ``preprocessing_halo(settings)`` to an edge of the region that is no edge of
    the image come out otherwise than in the whole image.

    Args:
        region: (h, w, 3) RGB or (h, w, 1) gray, uint8.
        settings: As for ``preprocess``.
        found: ``color_map`` of a sample of the whole image.

    Returns:
        (h, w, settings.channels), uint8, in memory of its own or ``region`` itself.

    Raises:
        ImageError: The region is not uint8, or has other axes.
    """
    _require_pixels(region)
    stained = region if found is None else found.apply(region)
    pixels = _sharpen(_apply_gamma(stained, settings.gamma), settings.sharpening)
    pixels = _convert_colors(pixels, settings.color_space)
    return np.ascontiguousarray(pixels.reshape(*region.shape[:2], settings.channels))


def to_rgb(image: NDArray[np.uint8], color_space: str) -> NDArray[np.uint8]:
    """An image of the network's color space, (h, w, C), as RGB; a gray one stays gray."""
    code = _TO_RGB.get(color_space)
    return image if code is None else np.asarray(cv2.cvtColor(image, code), np.uint8)


def from_rgb(image: NDArray[np.uint8], color_space: str) -> NDArray[np.uint8]:
    """What ``to_rgb`` was given, but for rounding."""
    code = _FROM_RGB[color_space] if color_space in _TO_RGB else None
    return image if code is None else np.asarray(cv2.cvtColor(image, code), np.uint8)


def _require_pixels(image: NDArray[np.uint8]) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ImageError(
            f"an image of shape {image.shape} and type {image.dtype} cannot be used; "
            "give (height, width, 1 or 3) in uint8"
        )


def preprocessing_halo(settings: ImageSettings) -> int:
    """How far around a pixel ``preprocess`` looks, in pixels.

    A part of an image that is cut with so much context is pre-processed as the whole image is.
    """
    return _UNSHARP_SIDE // 2 if settings.sharpening else 0


def _apply_gamma(image: NDArray[np.uint8], gamma: float) -> NDArray[np.uint8]:
    if gamma == 1.0:
        return image
    table = np.rint(255.0 * (np.arange(256) / 255.0) ** gamma).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table)).reshape(image.shape)


def _sharpen(image: NDArray[np.uint8], weight: float) -> NDArray[np.uint8]:
    if weight == 0.0:
        return image
    blurred = cv2.GaussianBlur(image, (_UNSHARP_SIDE, _UNSHARP_SIDE), _UNSHARP_SIGMA)
    sharp = cv2.addWeighted(image.reshape(blurred.shape), 1.0 + weight, blurred, -weight, 0.0)
    return np.asarray(sharp).reshape(image.shape)


def _convert_colors(image: NDArray[np.uint8], color_space: str) -> NDArray[np.uint8]:
    gray = image.shape[2] == 1
    if gray and color_space != "gray":
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
    if color_space == "rgb" or (gray and color_space == "gray"):
        return image
    return np.asarray(cv2.cvtColor(image, _FROM_RGB[color_space]))
