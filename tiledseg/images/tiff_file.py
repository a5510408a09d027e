"""TIFF files as tifffile opens them, refused where it would wander off or grow without end."""

import logging
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from tiledseg.config.regular_files import require_regular
from tiledseg.images.tiff_colors import LayoutError

# Faults come back as exceptions; the library would also write them on the terminal.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_MOST_PAGES = 10_000
"""Of a file, sub-pages included: tifffile looks at each of them."""
_MOST_PLANES = 1_000_000
"""That OME-XML may claim: tifffile makes room for each of them."""
_OF_OTHER_FILES: dict[str, Any] = {"_multifile": False, "is_mmstack": False, "is_ndtiff": False}
"""What would have tifffile read files beside this one: a picture is what its own file holds."""


def open_tiff_file(path: Path) -> tifffile.TiffFile:
    """Open a TIFF, whatever its name.

    tifffile takes each .ndpi for Hamamatsu's layout, whose offsets have 64 bits; read so, a
    plain TIFF has no pages.

    Raises:
        ValueError: It is no TIFF, or claims more pages than are read.
        OSError: It cannot be opened.
    """
    require_regular(path)
    file = tifffile.TiffFile(path, **_OF_OTHER_FILES)
    if path.suffix.lower() == ".ndpi" and len(file.pages) == 0:
        file.close()
        file = tifffile.TiffFile(path, is_ndpi=False, **_OF_OTHER_FILES)
    try:
        _require_pages(file)
        if file.is_ome:
            _require_planes(file.ome_metadata or "")
    except BaseException:
        file.close()
        raise
    return file


def _require_pages(file: tifffile.TiffFile) -> None:
    """Refuse files of more pages than can be looked at."""
    try:
        file.pages[_MOST_PAGES]  # tifffile walks no further than this
    except IndexError:
        if len(file.pages) + sum(len(page.subifds or ()) for page in file.pages) <= _MOST_PAGES:
            return
    raise LayoutError(
        f"has more than {_MOST_PAGES} pages; save the one that is meant, or each as a file"
    )


def _require_planes(text: str) -> None:
    """Refuse OME-XML that claims more planes than any file holds; bad XML is passed over."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return
    for element in root.iter():
        kind = element.tag.rpartition("}")[2]
        if kind == "Pixels":
            count: float = math.prod(_number(element, f"Size{axis}") for axis in "ZCT")
        elif kind == "TiffData":
            names = ("IFD", "NumPlanes", "PlaneCount", "FirstZ", "FirstC", "FirstT")
            count = max(_number(element, name) for name in names)
        elif kind.startswith("ModuloAlong"):
            count = _count_steps(element)
        else:
            continue
        if count > _MOST_PLANES:
            raise LayoutError(f"claims {count:.0f} planes (OME-XML); save the one that is meant")


def _number(element: ElementTree.Element, name: str) -> int:
    return abs(int(element.get(name, 1)))


def _count_steps(element: ElementTree.Element) -> float:
    """How many steps there are along an axis."""
    first, last, step = (float(element.get(name, 1)) for name in ("Start", "End", "Step"))
    return abs(last - first) / abs(step)
