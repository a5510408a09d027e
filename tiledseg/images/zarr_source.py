"""OME-Zarr, read a rectangle at a time at full resolution."""

from pathlib import Path

from tiledseg.errors import ImageError
from tiledseg.images.ome_zarr import finest_level, require_complete_chunks
from tiledseg.images.pixel_size import ngff_pixel_size
from tiledseg.images.sources import RegionSlide


def open_zarr(path: Path) -> RegionSlide:
    """Open the first image of an OME-Zarr store.

    Raises:
        ImageError: The folder is no OME-Zarr image, of a layout that is not read, or damaged.
    """
    try:
        pixels, axes, multiscale = finest_level(path)
        require_complete_chunks(path, pixels)
        size = ngff_pixel_size(multiscale, axes)
    except (ValueError, OSError) as error:
        raise ImageError(
            f"{path}: {error}; name the folder that holds its multiscales, or export it again"
        ) from None
    if not _has_chunks(path / pixels.path):
        claimed = " x ".join(str(side) for side in pixels.shape)
        raise ImageError(f"{path}: claims {claimed} pixels but holds none; copy it again, whole")
    return RegionSlide(path, pixels, "".join(axes), size)


def _has_chunks(array: Path) -> bool:
    """Whether any chunk was ever written."""
    own = {".zarray", ".zattrs", "zarr.json"}
    return any(item.is_file() and item.name not in own for item in array.rglob("*"))
