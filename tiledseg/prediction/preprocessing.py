"""Preprocessing of an image region by region: the same pixels as for the whole image."""

import numpy as np
from numpy.typing import NDArray

from tiledseg.config import ImageSettings
from tiledseg.data.preprocessing import (
    ColorMap,
    PixelSample,
    color_map,
    preprocess_region,
    preprocessing_halo,
)
from tiledseg.errors import ImageError
from tiledseg.tiling.geometry.regions import Region, RegionSource

_BAND = 256
"""Rows that are read at a time to find an image's stain."""


class PreprocessedSource:
    """An image as the network sees it, pre-processed piece by piece.

    Args:
        source: RGB or gray, as it is stored; (H, W, 3) or (H, W, 1).
        settings: How it is shown.

    Raises:
        ImageError: The image is neither RGB nor gray, or cannot be read.
    """

    def __init__(self, source: RegionSource, settings: ImageSettings) -> None:
        height, width, channels = source.shape
        if channels not in {1, 3} or 0 in (height, width):
            raise ImageError(
                f"image has shape {source.shape}; expected (height, width, 3) RGB or (h, w, 1)"
            )
        self._source, self._settings = source, settings
        self._halo = preprocessing_halo(settings)
        self._stain = _stain_of(source, settings)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, and channels of the network's input."""
        height, width, _ = self._source.shape
        return height, width, self._settings.channels

    def read(self, region: Region) -> NDArray[np.uint8]:
        """Pixels of a rectangle, read with the context that pre-processing needs."""
        spans = zip(region, self._source.shape[:2], strict=True)
        wide = [
            slice(max(span.start - self._halo, 0), min(span.stop + self._halo, length))
            for span, length in spans
        ]
        read = self._source.read((wide[0], wide[1]))
        pixels = preprocess_region(read, self._settings, self._stain)
        rows, columns = (
            slice(span.start - outer.start, span.stop - outer.start)
            for span, outer in zip(region, wide, strict=True)
        )
        return pixels[rows, columns]


def _stain_of(source: RegionSource, settings: ImageSettings) -> ColorMap | None:
    """What stain normalization does to an image, found in a first walk over it."""
    if settings.stain == "none":
        return None
    height, width, _ = source.shape
    sample = PixelSample(*source.shape)
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        sample.add(source.read((rows, slice(0, width))), top, 0)
    return color_map(sample.pixels, settings)


def as_color(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray or RGB of the shapes people have, as (H, W, 3).

    Raises:
        ImageError: It is not uint8, or of another shape.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ImageError(f"image is {image.dtype}; convert it to uint8, 0 to 255")
    if image.ndim == 2:
        image = image[..., np.newaxis]
    if image.ndim != 3 or image.shape[2] not in {1, 3} or 0 in image.shape:
        raise ImageError(
            f"image has shape {image.shape}; expected (height, width, 3) RGB or (height, width)"
        )
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
