"""Tiled and pyramidal TIFF, OME-TIFF and the scanners' formats built on it, at full resolution."""

from pathlib import Path

from tiledseg.errors import ImageError
from tiledseg.images.content import fault
from tiledseg.images.sources import RegionSlide, fits_in_one_piece
from tiledseg.images.tiff import TiffPicture


def open_tiff(path: Path, bit_depth: int | None) -> RegionSlide | None:
    """Open the largest picture of a TIFF.

    Args:
        path: The file.
        bit_depth: ``image.bit_depth``.

    Returns:
        None for small images that are not tiled: they are decoded whole, there is nothing to win.

    Raises:
        ImageError: The file is truncated or damaged, or of a layout that is not read.
    """
    try:
        picture = TiffPicture(path)
    except (ValueError, OSError) as error:
        raise fault(path, str(error)) from None
    try:
        picture.require_substance()
        if fits_in_one_piece(*picture.shape) and not picture.is_tiled:
            picture.close()
            return None
        return RegionSlide(path, picture, bit_depth)
    except ImageError:
        picture.close()
        raise
    except Exception as error:  # noqa: BLE001 - struct.error, KeyError, zarr's own... by the fault
        picture.close()
        raise fault(path, str(error)) from None
