"""Open an image of any kind with the reader it needs."""

from pathlib import Path

from tiledseg.config.regular_files import open_regular
from tiledseg.errors import ImageError
from tiledseg.images.headers import kind_of
from tiledseg.images.reading import image_shape, is_image
from tiledseg.images.sources import DecodedSlide, RegionSlide, Slide
from tiledseg.images.tiff_source import open_tiff
from tiledseg.images.unused import is_file
from tiledseg.images.zarr_source import open_zarr

SLIDE_SUFFIXES = (".ndpi", ".scn", ".svs", ".bif", ".btf", ".tf8")
"""Of slide scanners' files and large TIFFs, beside those of ``reading``."""
_ENDINGS = (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.zarr")


def open_slide(path: Path, bit_depth: int | None = None) -> Slide:
    """Open an image to read it in rectangles; what comes out equals ``reading.read_image``.

    Tiled TIFF, large TIFF and OME-Zarr are read as they lie on disk, at full resolution, the
    largest image of several; other formats and small TIFF are decoded whole.

    Args:
        path: A file, or the folder of an OME-Zarr image.
        bit_depth: ``image.bit_depth``.

    Raises:
        ImageError: It cannot be read.
    """
    stored = _open_regions(path, bit_depth)
    return DecodedSlide(path, bit_depth) if stored is None else stored


def slide_shape(path: Path) -> tuple[int, int]:
    """Height and width, in pixels; nothing is decoded.

    Raises:
        ImageError: It cannot be read.
    """
    stored = _open_regions(path)
    if stored is None:
        return image_shape(path)
    stored.close()
    return stored.shape[:2]


def is_slide(path: Path) -> bool:
    """Whether a path is named as an image that is read, and is not hidden; it is not opened."""
    own = path.suffix.lower() in SLIDE_SUFFIXES and not path.name.startswith(".")
    return (own and is_file(path)) or is_image(path)


def stem_of(path: Path) -> str:
    """A file's name without its suffix: ``a`` of a.png, a.ome.tif and a.ome.zarr."""
    lower = path.name.lower()
    ending = next((ending for ending in _ENDINGS if lower.endswith(ending)), None)
    return path.name[: -len(ending)] if ending else path.stem


def _open_regions(path: Path, bit_depth: int | None = None) -> RegionSlide | None:
    """Open a TIFF or OME-Zarr that is read in regions; None for what is decoded whole."""
    if path.is_dir():
        return open_zarr(path, bit_depth)
    return open_tiff(path, bit_depth) if _head_is_tiff(path) else None


def _head_is_tiff(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return kind_of(file.read(16)) == "tiff"
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be read ({error.strerror}); check that it is a readable file"
        ) from None
