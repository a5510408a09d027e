"""What the network is shown: gamma, sharpening and colour space, alike everywhere."""

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import ImageError
from tiledseg.settings import ImageSettings

_FROM_RGB = {
    "hsv": cv2.COLOR_RGB2HSV_FULL,  # hue over the whole byte: 256 steps are a full turn
    "lab": cv2.COLOR_RGB2LAB,
    "gray": cv2.COLOR_RGB2GRAY,
}
_UNSHARP_SIGMA = 1.0
_UNSHARP_SIDE = 7  # what cv2 would choose for the sigma in 8 bits; named for preprocess_reach


def preprocess(image: NDArray[np.uint8], settings: ImageSettings) -> NDArray[np.uint8]:
    """Turn an image as stored into an image as the network sees it.

    Gamma, then sharpening (unsharp mask: v + w (v - blurred v)), both on the stored channels,
    then the colour space.

    Args:
        image: (H, W, 3) RGB or (H, W, 1) grey, uint8.
        settings: Colour space, channels, gamma and sharpening; the size is not used.

    Returns:
        (H, W, settings.channels), uint8, in memory of its own or ``image`` itself.

    Raises:
        ImageError: The image is not uint8, or has other axes.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ImageError(
            f"an image of shape {image.shape} and type {image.dtype} cannot be used; "
            "give (height, width, 1 or 3) in uint8"
        )
    pixels = _sharpened(_with_gamma(image, settings.gamma), settings.sharpening)
    pixels = _in_color_space(pixels, settings.color_space)
    return np.ascontiguousarray(pixels.reshape(*image.shape[:2], settings.channels))


def preprocess_reach(settings: ImageSettings) -> int:
    """How far around a pixel ``preprocess`` looks, in pixels.

    A part of an image that is cut with so much context is pre-processed as the whole image is.
    """
    return _UNSHARP_SIDE // 2 if settings.sharpening else 0


def _with_gamma(image: NDArray[np.uint8], gamma: float) -> NDArray[np.uint8]:
    if gamma == 1.0:
        return image
    table = np.rint(255.0 * (np.arange(256) / 255.0) ** gamma).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table)).reshape(image.shape)


def _sharpened(image: NDArray[np.uint8], weight: float) -> NDArray[np.uint8]:
    if weight == 0.0:
        return image
    blurred = cv2.GaussianBlur(image, (_UNSHARP_SIDE, _UNSHARP_SIDE), _UNSHARP_SIGMA)
    sharp = cv2.addWeighted(image.reshape(blurred.shape), 1.0 + weight, blurred, -weight, 0.0)
    return np.asarray(sharp).reshape(image.shape)


def _in_color_space(image: NDArray[np.uint8], color_space: str) -> NDArray[np.uint8]:
    grey = image.shape[2] == 1
    if grey and color_space != "gray":
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
    if color_space == "rgb" or (grey and color_space == "gray"):
        return image
    return np.asarray(cv2.cvtColor(image, _FROM_RGB[color_space]))
