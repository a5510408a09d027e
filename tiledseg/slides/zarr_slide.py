"""OME-Zarr (NGFF 0.4 and 0.5), at full resolution."""

from pathlib import Path
from typing import Any

import zarr

from tiledseg.errors import ImageError
from tiledseg.slides.pixel_size import ngff_pixel_size
from tiledseg.slides.sources import StoredSlide

_MARKS = (".zgroup", "zarr.json", ".zattrs")
_OLD_AXES = "tczyx"
"""Of versions before 0.4, which did not name them."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is the root of a Zarr group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def open_zarr(path: Path) -> StoredSlide:
    """Open the first image of an OME-Zarr group.

    Raises:
        ImageError: The folder is no OME-Zarr image, or of a layout that is not read.
    """
    try:
        group = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        multiscale = (attributes.get("ome") or attributes)["multiscales"][0]
        pixels: Any = group[multiscale["datasets"][0]["path"]]
        axes = [_name(axis) for axis in multiscale.get("axes", _OLD_AXES)]
        size = ngff_pixel_size(multiscale, axes) if {"y", "x"} <= set(axes) else None
        is_empty = not _has_chunks(path / multiscale["datasets"][0]["path"])
    except Exception as error:  # zarr's own, KeyError, ValueError... by the fault
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ImageError(
            f"{path}: is not an OME-Zarr image of version 0.4 or 0.5 ({reason}); name the folder "
            "that holds its multiscales"
        ) from error
    if len(axes) != len(pixels.shape) or not {"y", "x"} <= set(axes):
        raise ImageError(
            f"{path}: names the axes {', '.join(axes)}, but its array has the shape "
            f"{pixels.shape}; export it again"
        )
    if is_empty:
        claimed = " x ".join(str(side) for side in pixels.shape)
        raise ImageError(f"{path}: claims {claimed} pixels but holds none; copy it again, whole")
    return StoredSlide(path, pixels, "".join(axes), size)


def _has_chunks(array: Path) -> bool:
    """Whether a single pixel was ever written."""
    own = {".zarray", ".zattrs", "zarr.json"}
    return any(item.is_file() and item.name not in own for item in array.rglob("*"))


def _name(axis: Any) -> str:
    """One letter for an axis, which 0.3 names and later versions describe."""
    name = axis["name"] if isinstance(axis, dict) else axis
    return str(name).lower()[:1]
