"""Color augmentation of a training crop.

Brightness, contrast, cast, hue and saturation are together one affine map of the channels,
v -> A v + t, applied in a single pass in the network's color space.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config import AugmentationSettings

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in gray (ITU-R BT.601)."""
_NEUTRAL = 128.0
"""The value of Lab's a and b, in 8 bits, where there is no color."""
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density of hematoxylin, eosin and DAB in red, green and blue; Ruifrok and Johnston,
"Quantification of histochemical staining by color deconvolution", 2001."""
_LIGHT = np.log((np.arange(256) + 1.0) / 256.0).astype(np.float32)
"""Logarithm of each intensity: optical density below zero."""

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class ColorJitter:
    """How much brightness (of full scale), contrast, hue (of a circle) and so on change."""

    brightness: float
    contrast: float
    hue: float
    saturation: float
    cast: tuple[float, float, float]


_UNCHANGED = ColorJitter(0.0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))


def draw_color_jitter(rng: np.random.Generator, settings: AugmentationSettings) -> ColorJitter:
    """Draw a change of colors; the same number of draws whatever the settings."""
    brightness, contrast, hue, saturation, *cast = rng.uniform(-1.0, 1.0, 7).tolist()
    red, green, blue = (settings.color_cast * change for change in cast)
    return ColorJitter(
        brightness=settings.brightness * brightness,
        contrast=settings.contrast * contrast,
        hue=settings.hue * hue,
        saturation=settings.saturation * saturation,
        cast=(red, green, blue),
    )


def apply_color(image: Pixels, looks: ColorJitter, color_space: str) -> Pixels:
    """Change the colors of a crop.

    Args:
        image: (h, w, C), uint8, in the color space.
        looks: Of ``draw_color_jitter``.
        color_space: ``rgb``, ``hsv`` (hue over 256 values), ``lab`` or ``gray``.

    Returns:
        (h, w, C), uint8; ``image`` itself where nothing changes.
    """
    if looks == _UNCHANGED:
        return image
    if color_space == "hsv":
        return _apply_hsv(image, looks)
    mean = np.array(cv2.mean(image))[: image.shape[2]]
    matrix, shift = _COLOR_MAPS[color_space](looks, mean)
    if len(mean) == 1:
        table = _clip(float(matrix[0, 0]) * np.arange(256) + float(shift[0]))
        return np.asarray(cv2.LUT(image, table)).reshape(image.shape)
    return np.asarray(cv2.transform(image, np.column_stack([matrix, shift])))


def restain(image: Pixels, amounts: Matrix) -> Pixels:
    """Change how much of each stain a crop holds.

    Tellez et al., "Whole-slide mitosis detection in H&E breast histology using PHH3 as a
    reference to train distilled stain-invariant convolutional networks", 2018.

    Args:
        image: (h, w, 3), uint8, RGB.
        amounts: (3,): factor for hematoxylin, eosin and DAB.

    Returns:
        (h, w, 3), uint8.
    """
    matrix = (np.linalg.inv(_STAINS) @ np.diag(amounts) @ _STAINS).T.astype(np.float32)
    light = cv2.exp(cv2.transform(cv2.LUT(image, _LIGHT), matrix))
    return np.asarray(cv2.convertScaleAbs(light, alpha=256.0, beta=-1.0))


def _rgb_map(looks: ColorJitter, mean: Matrix) -> tuple[Matrix, Matrix]:
    """Contrast about the mean color, after saturation and hue about the gray axis, and a cast."""
    color = _saturation_matrix(looks.saturation) @ _hue_matrix(looks.hue)
    color = np.diag(1.0 + np.array(looks.cast)) @ color
    gain, offset = 1.0 + looks.contrast, 255.0 * looks.brightness
    return gain * color, offset - looks.contrast * (color @ mean)


def _lab_map(looks: ColorJitter, mean: Matrix) -> tuple[Matrix, Matrix]:
    """Contrast and brightness of L; a and b turned and stretched about the neutral point."""
    angle, stretch = 2.0 * np.pi * looks.hue, 1.0 + looks.saturation
    cos, sin = stretch * np.cos(angle), stretch * np.sin(angle)
    matrix = np.array([[1.0 + looks.contrast, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    lightness = 255.0 * looks.brightness - looks.contrast * mean[0]
    neutral = _NEUTRAL * (1.0 - matrix[1:, 1:].sum(axis=1))
    return matrix, np.array([lightness, *neutral])


def _gray_map(looks: ColorJitter, mean: Matrix) -> tuple[Matrix, Matrix]:
    return np.array([[1.0 + looks.contrast]]), 255.0 * looks.brightness - looks.contrast * mean


_COLOR_MAPS = {"rgb": _rgb_map, "lab": _lab_map, "gray": _gray_map}


def _saturation_matrix(change: float) -> Matrix:
    """Moves colors away from, or towards, the gray of the same luma."""
    matrix: Matrix = (1.0 + change) * np.eye(3) - change * np.tile(_LUMA, (3, 1))
    return matrix


def _hue_matrix(turn: float) -> Matrix:
    """Rotation of RGB about its gray axis (1, 1, 1) / sqrt(3), by Rodrigues' formula."""
    angle = 2.0 * np.pi * turn
    across = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3.0)
    along = np.full((3, 3), 1.0 / 3.0)
    matrix: Matrix = (
        np.cos(angle) * np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * along
    )
    return matrix


def _apply_hsv(image: Pixels, looks: ColorJitter) -> Pixels:
    """A table for each channel; hue is a circle of 256 values, so it wraps."""
    values = np.arange(256)
    mean = cv2.mean(image)[2]
    hue = (values + round(256 * looks.hue)) % 256
    saturation = (1.0 + looks.saturation) * values
    value = (1.0 + looks.contrast) * (values - mean) + mean + 255.0 * looks.brightness
    tables: Any = np.stack([hue, _clip(saturation), _clip(value)], axis=-1)
    return np.asarray(cv2.LUT(image, tables[np.newaxis].astype(np.uint8)))


def _clip(values: NDArray[np.floating[Any]]) -> Pixels:
    clipped: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return clipped
