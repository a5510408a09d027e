"""SIPaKMeD: Pap smears as BMP, and the outlines of their cells as lists of points.

im_Metaplastic/244.bmp
im_Metaplastic/244_cyt01.dat     x,y of the cytoplasm's outline, one point a line, in pixels
im_Metaplastic/244_nuc01.dat     of the nucleus
im_Metaplastic/CROPPED/          the same cells cut out, which are not read
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.config.regular_files import open_regular
from tiledseg.data.published.format import (
    Pixels,
    PublishedImage,
    format_error,
    incomplete_error,
    pictures_in,
)
from tiledseg.errors import DatasetError, one_line
from tiledseg.images.reading import read_image

EXPECTED = "im_Metaplastic/001.bmp beside 001_cyt01.dat, 001_nuc01.dat and so on"
_OUTLINE = re.compile(r"(.+)_(cyt|nuc)\d+\.dat", re.IGNORECASE)
_SUBPIXEL = 4
"""Binary digits after the point that OpenCV's polygons keep."""


def find_metaplastic(folder: Path) -> list[PublishedImage]:
    """Whole smears of metaplastic cells; cytoplasm and nucleus are foreground.

    Not every cell of a smear has an outline.

    Args:
        folder: Unpacked; the images may lie deeper.

    Raises:
        DatasetError: The folder is of another form, or an image has no outline.
    """
    found = []
    for home in _homes(folder):
        outlines: dict[str, list[Path]] = {}
        for path in sorted(home.glob("*.dat")):
            match = _OUTLINE.fullmatch(path.name)
            if match:
                outlines.setdefault(match[1], []).append(path)
        images = [path for path in pictures_in(home) if path.suffix.lower() == ".bmp"]
        lonely = [path.name for path in images if path.stem not in outlines]
        if lonely:
            raise incomplete_error(home, lonely, "images without an outline", EXPECTED)
        for image in images:
            name = f"Metaplastic_{image.stem}"
            reader = _reader(name, image, outlines[image.stem])
            found.append(PublishedImage(name, name, "", reader))
    if not found:
        raise format_error(folder, EXPECTED)
    return found


def read_outline(path: Path) -> NDArray[np.float64]:
    """The points of an outline.

    Returns:
        (N, 2), x and y in pixels from the center of the first pixel; N is at least 3.

    Raises:
        DatasetError: The file is no list of points.
    """
    try:
        with open_regular(path) as file:
            points = np.loadtxt(file, delimiter=",", ndmin=2, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path}: is no outline ({one_line(error)}); expected one point a line, "
            "as in 1034.2,553.8"
        ) from None
    if points.shape[1:] != (2,) or len(points) < 3 or not np.isfinite(points).all():
        raise DatasetError(
            f"{path}: holds {points.shape[0]} line(s) of {points.shape[1]} number(s); expected "
            "three points or more, as in 1034.2,553.8"
        )
    return points


def fill(outline: NDArray[np.float64], mask: Pixels) -> None:
    """Set a mask to 1 on and inside an outline."""
    fixed = np.rint(np.clip(outline, -(2**15), 2**15) * 2**_SUBPIXEL).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 1, shift=_SUBPIXEL)


def _homes(folder: Path) -> list[Path]:
    """Folders of images with outlines: those of metaplastic cells, where classes are told."""
    if not folder.is_dir():
        return []
    homes = sorted(
        {path.parent for path in folder.rglob("*.dat") if path.parent.name.upper() != "CROPPED"}
    )
    named = [home for home in homes if "metaplastic" in home.as_posix().casefold()]
    others = [home for home in homes if home.name.casefold().startswith("im_")]
    return named or [home for home in homes if home not in others]


def _reader(
    name: str, image: Path, outlines: Sequence[Path]
) -> Callable[[], Iterator[tuple[str, Pixels, Pixels]]]:
    def read() -> Iterator[tuple[str, Pixels, Pixels]]:
        pixels = read_image(image)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        for path in outlines:
            fill(read_outline(path), mask)
        yield name, pixels, mask

    return read
