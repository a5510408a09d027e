"""OME-Zarr stores as images and masks of a dataset: the finest level of the first image.

Versions 0.1 to 0.5. Axes beside rows, columns and channels must have one place, as files of one
plane have.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from tiledseg.errors import one_line
from tiledseg.images.headers import Header
from tiledseg.images.unused import is_file

STORE_SUFFIX = ".zarr"
_ROOTS = ("zarr.json", ".zattrs", ".zgroup")
_UNNAMED_AXES = ("t", "c", "z", "y", "x")
"""Of versions that did not name them."""
_EXPECTED = "expected an OME-Zarr image (multiscales) of rows and columns, gray or RGB"


def is_store(path: Path) -> bool:
    """Whether a path is a folder that Zarr calls a group; nothing of it is read."""
    return path.suffix.lower() == STORE_SUFFIX and any(is_file(path / root) for root in _ROOTS)


def read_store_header(path: Path) -> Header:
    """Read the header of the finest level; none of its chunks is read.

    Raises:
        ValueError: The store is damaged, or no image of one plane; the message follows its name.
    """
    array, axes, _ = finest_level(path)
    height, width, channels = (
        int(array.shape[axes.index(axis)]) if axis in axes else 1 for axis in "yxc"
    )
    bits = 8 * np.dtype(array.dtype).itemsize
    return Header("zarr", height, width, channels, bits, alpha=channels in (2, 4))


def read_store(path: Path) -> NDArray[Any]:
    """Read the finest level.

    Returns:
        (H, W), or (H, W, C) for more than one channel; the store's own dtype.

    Raises:
        ValueError: As for ``read_store_header``.
    """
    array, axes, _ = finest_level(path)
    require_channels(axes, array.shape)
    require_complete_chunks(path, array)
    try:
        pixels = np.asarray(array[...])
    except Exception as error:  # noqa: BLE001 - codecs have errors of their own
        raise ValueError(f"is a damaged Zarr store ({one_line(error)})") from None
    kept = [axis for axis in axes if axis in "cyx"]
    pixels = pixels.reshape([pixels.shape[axes.index(axis)] for axis in kept])
    order = [kept.index(axis) for axis in "yxc" if axis in kept]
    pixels = pixels.transpose(order)
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)


def finest_level(path: Path) -> tuple[Any, list[str], dict[str, Any]]:
    """The array of the finest level, its axes in order, and its multiscale's metadata.

    Raises:
        ValueError: As for ``read_store_header``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group = zarr.open_group(path, mode="r")
            attributes = dict(group.attrs)
            described: Any = attributes.get("ome", attributes)
            image = described["multiscales"][0]
            array: Any = group[image["datasets"][0]["path"]]
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
    return array, axes, image


def require_channels(axes: list[str], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless there are 1, 3 or 4 channels, the last of 4 being alpha."""
    channels = shape[axes.index("c")] if "c" in axes else 1
    if channels not in (1, 3, 4):
        raise ValueError(f"holds {channels} channels; save it as gray or RGB")


def _is_blosc(array: Any) -> bool:
    compressor = getattr(array.metadata, "compressor", None)
    last = compressor or (getattr(array.metadata, "codecs", None) or (None,))[-1]
    return type(last).__name__ in ("Blosc", "BloscCodec")


def require_complete_chunks(path: Path, array: Any) -> None:
    """Refuse chunks that are cut short: Blosc decodes what is left of one and says nothing.

    Source of the header: C-Blosc's README_CHUNK_FORMAT, cbytes at byte 12, little-endian.

    Args:
        path: The store.
        array: One of its arrays.

    Raises:
        ValueError: A chunk is cut short; the message follows the store's name.
    """
    if not _is_blosc(array):
        return
    for chunk in (path / array.path).rglob("*"):
        if chunk.is_file() and chunk.name[0].isdigit():
            with chunk.open("rb") as file:
                header = file.read(16)
            if int.from_bytes(header[12:], "little") != chunk.stat().st_size:
                raise ValueError(f"is a damaged Zarr store (its chunk {chunk.name} is cut short)")
