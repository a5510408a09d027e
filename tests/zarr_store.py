"""OME-Zarr stores of one level, as other programs write them."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr


def write_zarr(path: Path, pixels: np.ndarray, version: int = 2, **array: Any) -> Path:
    """Write pixels (H, W) or (H, W, C), in chunks of 16 x 16; returns the first chunk's file.

    Args:
        path: The store.
        pixels: Its upper left corner.
        version: Of Zarr, 2 or 3.
        array: Other settings for the array.
    """
    group = zarr.open_group(path, mode="w", zarr_format=version)
    chunks = (16, 16, *pixels.shape[2:])
    options = {"shape": pixels.shape, "dtype": pixels.dtype, "chunks": chunks} | array
    corner = tuple(slice(side) for side in pixels.shape)
    group.create_array("0", **options)[corner] = pixels
    scale = [{"type": "scale", "scale": [0.5] * pixels.ndim}]
    image = {
        "axes": [{"name": axis} for axis in "yxc"[: pixels.ndim]],
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    if version == 2:
        group.attrs["multiscales"] = [{**image, "version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return path / ("0/0.0" if version == 2 else "0/c/0/0")
