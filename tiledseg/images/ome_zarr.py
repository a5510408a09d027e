"""OME-Zarr stores as images and masks of a dataset: the finest level of the first image.

Versions 0.1 to 0.5. Axes beside rows, columns and channels must have one place, as files of one
plane have.
"""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from tiledseg.config.regular_files import MOST_TEXT_BYTES, require_regular
from tiledseg.errors import one_line
from tiledseg.images.headers import Header
from tiledseg.images.limits import SMALL
from tiledseg.images.unused import is_file
from tiledseg.images.zarr_chunks import bound_chunks, count_chunks, require_files

STORE_SUFFIX = ".zarr"
_ROOTS = ("zarr.json", ".zattrs", ".zgroup")
_METADATA = (*_ROOTS, ".zarray", ".zmetadata")
_UNNAMED_AXES = ("t", "c", "z", "y", "x")
"""Of versions that did not name them."""
_MOST_MISSING = 1000
"""Chunks for each that is there; masks leave out those without an object."""
_FEW_CHUNKS = 4096
"""So many may all be missing but one."""
_EXPECTED = "expected an OME-Zarr image (multiscales) of rows and columns, gray or RGB"


def is_store(path: Path) -> bool:
    """Whether a path is a folder that Zarr calls a group; nothing of it is read."""
    return path.suffix.lower() == STORE_SUFFIX and any(is_file(path / root) for root in _ROOTS)


class StoreImage:
    """The finest level of an OME-Zarr store; none of its chunks is read before it is decoded.

    Args:
        path: The folder.

    Raises:
        ValueError: The store is damaged, or no image of one plane; the message follows its name.
    """

    pixel_size = None
    """Read by ``zarr_source``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array, self._axes, _ = finest_level(path)

    @property
    def header(self) -> Header:
        """What the store holds."""
        shape = self._array.shape
        height, width, channels = (
            int(shape[self._axes.index(axis)]) if axis in self._axes else 1 for axis in "yxc"
        )
        dtype = np.dtype(self._array.dtype)
        bits, alpha = 8 * dtype.itemsize, channels in (2, 4)
        is_plain = dtype.newbyteorder("=") in (np.uint8, np.uint16, np.uint32)
        type_name = "" if is_plain else dtype.name
        return Header("zarr", height, width, channels, bits, alpha=alpha, type=type_name)

    def decode(self) -> NDArray[Any]:
        """Decode all of it, (H, W), or (H, W, C) for more than one channel.

        Raises:
            ValueError: It is damaged, incomplete, or neither gray nor RGB.
        """
        array, axes = self._array, self._axes
        require_channels(axes, array.shape)
        require_files(self._path, array)
        require_substance(self._path, array)
        try:
            pixels = np.asarray(array[...])
        except MemoryError:
            raise ValueError(
                "takes more memory than is there; cut it into smaller images"
            ) from None
        except Exception as error:  # noqa: BLE001 - codecs have errors of their own
            raise ValueError(f"is a damaged Zarr store ({one_line(error)})") from None
        kept = [axis for axis in axes if axis in "cyx"]
        pixels = pixels.reshape([pixels.shape[axes.index(axis)] for axis in kept])
        order = [kept.index(axis) for axis in "yxc" if axis in kept]
        pixels = pixels.transpose(order)
        return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)

    def decode_pages(self) -> list[NDArray[Any]]:
        """Its one plane, as ``decode`` gives it."""
        return [self.decode()]

    def decode_indices(self) -> NDArray[Any]:
        """Raise ValueError: Zarr has no palettes."""
        raise ValueError("is a zarr without a palette that is read; save it as PNG")


def finest_level(path: Path) -> tuple[Any, list[str], dict[str, Any]]:
    """The array of the finest level, its axes in order, and its multiscale's metadata.

    Raises:
        ValueError: As for ``StoreImage``.
    """
    try:
        _require_metadata(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group = zarr.open_group(path, mode="r")
            attributes = dict(group.attrs)
            described: Any = attributes.get("ome", attributes)
            image = described["multiscales"][0]
            name = str(image["datasets"][0]["path"])
            _require_metadata(path / name)
            array: Any = group[name]
        named = image.get("axes") or _UNNAMED_AXES
        axes = [str(axis["name"] if isinstance(axis, dict) else axis) for axis in named]
        shape = array.shape
    except Exception as error:  # noqa: BLE001 - KeyError, JSON, zarr's own... by the fault
        raise ValueError(f"is a Zarr store, but {_EXPECTED} ({one_line(error)})") from None
    if len(axes) != len(shape) or not {"y", "x"} <= set(axes):
        raise ValueError(f"has the axes {''.join(axes)} and the shape {shape}; {_EXPECTED}")
    planes = [
        axis for axis, size in zip(axes, shape, strict=True) if axis not in "cyx" and size > 1
    ]
    if planes:
        raise ValueError(f"has several planes along {', '.join(planes)}; {_EXPECTED}")
    if 0 in shape:
        raise ValueError(f"claims an empty picture of {' x '.join(map(str, shape))} pixels")
    return bound_chunks(array), axes, image


def _require_metadata(folder: Path) -> None:
    """Refuse metadata that are no files, as a pipe, or are too large to be such.

    Raises:
        OSError: They are; the message says which.
    """
    for name in _METADATA:
        place = folder / name
        if place.exists():
            require_regular(place)
            if place.stat().st_size > MOST_TEXT_BYTES:
                raise OSError(f"{name} has more than {MOST_TEXT_BYTES / 1e6:.0f} MB")


def require_substance(path: Path, array: Any) -> None:
    """Refuse an array of which next to nothing is there; what is missing is filled by zarr.

    Raises:
        ValueError: It is such; the message follows the store's name.
    """
    pieces = array.shards or array.chunks
    claimed = math.prod(-(-side // piece) for side, piece in zip(array.shape, pieces, strict=True))
    size = math.prod(array.shape) * np.dtype(array.dtype).itemsize
    if claimed <= _FEW_CHUNKS and size <= SMALL:
        return
    there = count_chunks(path / array.path)
    if not there or claimed > max(_FEW_CHUNKS, _MOST_MISSING * there):
        raise ValueError(f"claims {claimed} chunks and holds {there}; copy it again, whole")


def require_channels(axes: list[str], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless there are 1, 3 or 4 channels, the last of 4 being alpha."""
    channels = shape[axes.index("c")] if "c" in axes else 1
    if channels not in (1, 3, 4):
        raise ValueError(f"holds {channels} channels; save it as gray or RGB")
