"""OME-Zarr, read a rectangle at a time at full resolution."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg.images.content import fault
from tiledseg.images.ome_zarr import finest_level, require_channels, require_substance
from tiledseg.images.pixel_size import PixelSize, ngff_pixel_size
from tiledseg.images.sources import RegionSlide
from tiledseg.images.zarr_chunks import count_chunks, require_files
from tiledseg.tiling.geometry.regions import Region


class ZarrPicture:
    """The finest level of an OME-Zarr image.

    Args:
        path: The store.

    Raises:
        ValueError: The folder is no OME-Zarr image, of a layout that is not read, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._pixels, self._axes, multiscale = finest_level(path)
        require_files(path, self._pixels)
        if not count_chunks(path / self._pixels.path):
            claimed = " x ".join(str(side) for side in self._pixels.shape)
            raise ValueError(f"claims {claimed} pixels but holds none; copy it again, whole")
        require_substance(path, self._pixels)
        self.pixel_size = _find_pixel_size(multiscale, self._axes)
        sizes = dict(zip(self._axes, self._pixels.shape, strict=True))
        self.shape: tuple[int, int] = (int(sizes["y"]), int(sizes["x"]))
        self.dtype = np.dtype(self._pixels.dtype)
        self.bits = 8 * self.dtype.itemsize
        self.piece_bytes = math.prod(self._pixels.chunks) * self.dtype.itemsize

    def require_channels(self) -> None:
        """Raise ValueError unless the picture is gray or RGB."""
        require_channels(self._axes, self._pixels.shape)

    def read(self, region: Region) -> NDArray[Any]:
        """The values of a rectangle, (h, w) or (h, w, C)."""
        places: dict[str, Any] = dict(zip("yx", region, strict=True))
        index = tuple(places.get(axis, slice(None) if axis == "c" else 0) for axis in self._axes)
        stored = np.asarray(self._pixels[index])
        left = [axis for axis in self._axes if axis in "yxc"]
        return stored.transpose([left.index(axis) for axis in "yxc" if axis in left])

    def close(self) -> None:
        """Do nothing: chunks are opened one by one."""


def _find_pixel_size(multiscale: dict[str, Any], axes: list[str]) -> PixelSize | None:
    """The size of a pixel, or None where the metadata say nothing that is understood."""
    try:
        return ngff_pixel_size(multiscale, axes)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def open_zarr(path: Path, bit_depth: int | None = None) -> RegionSlide:
    """Open the first image of an OME-Zarr store.

    Args:
        path: The folder.
        bit_depth: ``image.bit_depth``.

    Raises:
        ImageError: The folder is no OME-Zarr image, of a layout that is not read, or damaged.
    """
    try:
        picture = ZarrPicture(path)
    except (ValueError, OSError) as error:
        remedy = "name the folder that holds its multiscales, or export it again"
        raise fault(path, str(error), remedy) from None
    return RegionSlide(path, picture, bit_depth)
