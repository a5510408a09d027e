"""What the samples of a TIFF mean: gray, RGB, a palette, white is zero, YCbCr, CMYK."""

from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_JPEG = frozenset({6, 7, 33007, 34892})
"""Compressions whose decoder makes RGB of YCbCr itself."""


class LayoutError(ValueError):
    """A TIFF that is not read; the message follows the file's name."""


class TiffColors:
    """How the samples of a page become gray or RGB.

    Args:
        page: tifffile's.
        bits: Of a sample.
        samples: Of a pixel.
    """

    def __init__(self, page: Any, bits: int, samples: int) -> None:
        self._page, self._bits, self._samples = page, bits, samples
        self._kind = page.photometric

    def require_known(self) -> None:
        """Raise ``LayoutError`` unless the samples are colors of a kind that is read."""
        kind = self._kind
        plain = kind in (_PHOTOMETRIC.MINISBLACK, _PHOTOMETRIC.MINISWHITE, _PHOTOMETRIC.RGB)
        of_bytes = (_PHOTOMETRIC.YCBCR, _PHOTOMETRIC.SEPARATED)
        counted = (_PHOTOMETRIC.YCBCR, 3), (_PHOTOMETRIC.SEPARATED, 4)
        known = kind in of_bytes and self._bits == 8 and (kind, self._samples) in counted
        if not (plain or known or kind == _PHOTOMETRIC.PALETTE):
            raise LayoutError(
                f"has colors of the kind {getattr(kind, 'name', kind)} ({self._samples} of "
                f"{self._bits} bits), which are not read; export it as RGB or gray"
            )

    def show(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Turn samples (h, w) or (h, w, C) into gray or RGB."""
        kind = self._kind
        if kind == _PHOTOMETRIC.PALETTE:
            return np.asarray(_palette_colors(self._page.colormap)[stored])
        if kind == _PHOTOMETRIC.MINISWHITE:
            return _invert(stored, self._bits)
        if kind == _PHOTOMETRIC.YCBCR and self._page.compression not in _JPEG:
            swapped = np.ascontiguousarray(stored[..., [0, 2, 1]])
            return np.asarray(cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB))
        if kind == _PHOTOMETRIC.SEPARATED:
            light = 255 - stored.astype(np.uint16)
            return ((light[..., :3] * light[..., 3:] + 127) // 255).astype(np.uint8)
        return stored


def _palette_colors(table: NDArray[Any]) -> NDArray[np.uint8]:
    """Colors (N, 3) of a palette of 16 bits, of which programs make use in ways of their own."""
    colors = np.asarray(table).T.astype(np.int64)
    if colors.max(initial=0) < 256:  # bytes as they are
        return colors.astype(np.uint8)
    if not (colors % 256).any():  # bytes, shifted
        return (colors // 256).astype(np.uint8)
    return ((colors + 128) // 257).astype(np.uint8)


def _invert(stored: NDArray[Any], bits: int) -> NDArray[Any]:
    if stored.dtype == np.bool_:
        return ~stored
    if stored.dtype.kind == "u":
        return np.asarray(stored.dtype.type(2**bits - 1) - stored)
    raise LayoutError(f"holds {stored.dtype} pixels whose 0 is white; save it with 0 as black")
