"""Stain normalization: one color map for a whole image, applied to each pixel on its own.

The map follows from a sample of the whole image, so that a tile is changed as the image is.
Stained pixels are those that absorb light in every channel; where there are next to none, or
where there is no color, there is no map.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config import ImageSettings, StainReference
from tiledseg.config.image import numbers_in

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]

_LIGHT = 240.0
"""Intensity of the bare slide, from which optical densities are counted."""
_STAINED = 0.15
"""Optical density (natural logarithm) that a stained pixel has in every channel."""
_FEWEST = 64
"""Stained pixels of a sample below which an image counts as blank."""
_PERCENT = 1.0
"""Stains are the directions that so many percent of pixels lie beyond."""
_APART = np.deg2rad(4.0)
"""Smallest angle between two stains that can be told from one."""
_MOST = 4.0
"""Most that a stain or a spread is changed by, as a factor; a faint image stays faint."""
_STEPS = 2048.0
"""Steps of optical density, per unit, in the table that leads back to intensities."""
_ROWS = 256
"""Rows that are changed at a time."""

_DENSITY = -np.log((np.arange(256) + 1.0) / _LIGHT)
_LOWEST = float(_DENSITY[-1])
_INTENSITY = np.clip(
    np.rint(_LIGHT * np.exp(-(_LOWEST + np.arange(int(6.0 * _STEPS)) / _STEPS)) - 1.0), 0, 255
).astype(np.uint8)


class ColorMap(Protocol):
    """A change of every pixel's color on its own."""

    def apply(self, image: Pixels) -> Pixels:
        """Change an image, or a region of it, (h, w, 3) uint8, into another of its shape."""
        ...


@dataclass(frozen=True)
class DensityMap:
    """A linear map of optical densities.

    Attributes:
        matrix: (3, 3), float64; densities of red, green and blue after, from those before.
    """

    matrix: Matrix

    def apply(self, image: Pixels) -> Pixels:
        """See ``ColorMap``."""
        normalized = np.empty_like(image, order="C")
        for top in range(0, image.shape[0], _ROWS):
            rows = np.ascontiguousarray(image[top : top + _ROWS])
            for channel, weights in enumerate(self.matrix):
                normalized[top : top + _ROWS, :, channel] = _weigh(rows, weights)
        return normalized


@dataclass(frozen=True)
class LabMap:
    """A table for each channel of CIELAB in 8 bits.

    Attributes:
        tables: (1, 256, 3), uint8.
    """

    tables: Pixels

    def apply(self, image: Pixels) -> Pixels:
        """See ``ColorMap``."""
        lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
        return np.asarray(cv2.cvtColor(cv2.LUT(lab, self.tables), cv2.COLOR_LAB2RGB), np.uint8)


def color_map(sample: Pixels, settings: ImageSettings) -> ColorMap | None:
    """The map that gives an image the stain of ``settings.stain_reference``.

    Args:
        sample: (h, w, 3) RGB or (h, w, 1) gray, uint8: pixels from all over the image.
        settings: Kind of normalization and reference.

    Returns:
        The map; None where the setting is off, and for images without color or stain.
    """
    if settings.stain == "none" or sample.shape[2] == 1 or not np.ptp(sample, axis=2).any():
        return None
    pixels = sample.reshape(-1, 3)
    stained = pixels[(_DENSITY[pixels] >= _STAINED).all(axis=1)]
    if len(stained) < _FEWEST:
        return None
    if settings.stain == "macenko":
        return _macenko(stained, settings.stain_reference)
    return _reinhard(stained, settings.stain_reference)


def _macenko(stained: Pixels, reference: StainReference) -> DensityMap | None:
    """Stains as extreme directions in the plane of optical densities.

    Macenko et al., "A method for normalizing histology slides for quantitative analysis", ISBI
    2009. Amounts are scaled at their 99th percentile.
    """
    densities = _DENSITY[stained]
    plane = np.linalg.eigh(densities.T @ densities)[1][:, :0:-1]
    plane *= np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    across, along = (densities @ plane[:, [1, 0]]).T
    angles = np.percentile(np.arctan2(across, along), [_PERCENT, 100.0 - _PERCENT])
    if angles[1] - angles[0] < _APART:
        return None
    stains = plane @ np.stack([np.cos(angles), np.sin(angles)])
    if stains[0, 0] < stains[0, 1]:  # hematoxylin absorbs more red than eosin
        stains = stains[:, ::-1]
    unmix = np.linalg.pinv(stains)
    found = np.percentile(unmix @ densities.T, 99.0, axis=1)
    if (found <= 0.0).any():
        return None
    wanted = np.array(numbers_in(reference.densities))
    change = np.clip(wanted / found, 1.0 / _MOST, _MOST)
    target = np.array([numbers_in(reference.hematoxylin), numbers_in(reference.eosin)]).T
    target = target / np.linalg.norm(target, axis=0)
    return DensityMap(target @ np.diag(change) @ unmix)


def _reinhard(stained: Pixels, reference: StainReference) -> LabMap:
    """Mean and spread of each channel made those of the reference.

    Reinhard et al., "Color transfer between images", IEEE CG&A 2001, in CIELAB in place of
    their color space, and of stained pixels in place of all.
    """
    lab = cv2.cvtColor(stained[np.newaxis], cv2.COLOR_RGB2LAB)[0].astype(np.float64)
    mean, spread = lab.mean(axis=0), np.maximum(lab.std(axis=0), 1.0)
    wanted, wanted_spread = (
        np.array(numbers_in(text)) for text in (reference.lab_mean, reference.lab_spread)
    )
    gain = np.clip(wanted_spread / spread, 1.0 / _MOST, _MOST)
    tables = wanted + gain * (np.arange(256)[:, np.newaxis] - mean)
    return LabMap(np.clip(np.rint(tables), 0, 255).astype(np.uint8)[np.newaxis])


def _weigh(rows: Pixels, weights: Matrix) -> Pixels:
    """Intensities of one channel from weighed densities of all.

    NumPy rounds each product and sum on its own, wherever a pixel lies in memory. OpenCV's
    vectors may round otherwise at the end of a row, and a tile would differ from the image.
    """
    tables = (_DENSITY[:, np.newaxis] * weights).astype(np.float32)
    density = tables[:, 0][rows[..., 0]]
    for channel in (1, 2):
        density += tables[:, channel][rows[..., channel]]
    index = np.rint((density - np.float32(_LOWEST)) * np.float32(_STEPS))
    normalized: Pixels = _INTENSITY[np.clip(index, 0, len(_INTENSITY) - 1).astype(np.uint16)]
    return normalized
