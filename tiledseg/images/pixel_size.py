"""Size of a pixel in micrometers, from the metadata of image files."""

import re
from dataclasses import dataclass
from typing import Any, Self
from xml.etree import ElementTree

MICROMETERS = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "nm": 1e-3, "nanometer": 1e-3, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4,
    "m": 1e6, "meter": 1e6, "µ": 1.0, "μ": 1.0, "micrometre": 1.0, "micrometers": 1.0,
    "inch": 25400.0, "in": 25400.0,
}  # fmt: skip
"""One of each unit, in micrometers."""
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
_PLAUSIBLE = 10.0
"""Micrometers. A resolution per inch that means a larger pixel is the 72 or 300 of a program that
had none to write."""


@dataclass(frozen=True)
class PixelSize:
    """Height and width of a pixel, in micrometers."""

    height: float
    width: float

    @classmethod
    def of(cls, height: Any, width: Any, unit: str, unit_of_width: str = "") -> Self | None:
        """Convert numbers in one unit, or in two; None where they are no size."""
        factors = [_in_micrometers(name) for name in (unit, unit_of_width or unit)]
        try:
            size = cls(float(height) * factors[0], float(width) * factors[1])
        except (TypeError, ValueError):
            return None
        sound = 0.0 < size.height < 1e9 and 0.0 < size.width < 1e9
        return size if sound else None


def tiff_pixel_size(file: Any, page: Any) -> PixelSize | None:
    """Size of a pixel on a page of a TIFF; None where the file does not say.

    OME-XML, Aperio's MPP, ImageJ's unit and resolutions per centimeter are believed; resolutions
    per inch where they mean a pixel that only a microscope sees.
    """
    if file.is_ome:
        found = _from_ome(file.ome_metadata or "")
        if found is not None:
            return found
    mpp = re.search(r"\bMPP\s*=\s*([0-9.]+)", file.pages[0].description or "")
    if file.is_svs and mpp:
        return PixelSize.of(mpp[1], mpp[1], "µm")
    rows, columns = (_per_unit(page, name) for name in ("YResolution", "XResolution"))
    if rows is None or columns is None:
        return None
    metadata = (file.imagej_metadata or {}) if file.is_imagej else {}
    named = PixelSize.of(1 / rows, 1 / columns, str(metadata.get("unit", "")))
    if named is not None:
        return named
    unit = _RESOLUTION_UNITS.get(int(page.tags.valueof("ResolutionUnit", 0)), "")
    size = PixelSize.of(1 / rows, 1 / columns, unit)
    if unit == "inch" and size is not None and max(size.height, size.width) > _PLAUSIBLE:
        return None
    return size


def ngff_pixel_size(multiscale: dict[str, Any], axes: list[str]) -> PixelSize | None:
    """Size of a pixel in an OME-Zarr's finest level; None where the metadata do not say."""
    transformations = [
        *multiscale["datasets"][0].get("coordinateTransformations", []),
        *multiscale.get("coordinateTransformations", []),
    ]
    scale = [1.0, 1.0]
    found = False
    for transformation in transformations:
        values = transformation.get("scale")
        if transformation.get("type") == "scale" and len(values or ()) == len(axes):
            scale = [old * values[axes.index(name)] for old, name in zip(scale, "yx", strict=True)]
            found = True
    described = multiscale.get("axes") or axes
    units = [
        str(axis.get("unit", "")) if isinstance(axis, dict) else ""
        for axis in (described[axes.index(name)] for name in "yx")
    ]
    return PixelSize.of(scale[0], scale[1], units[0], units[1]) if found else None


def _from_ome(text: str) -> PixelSize | None:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None
    pixels = next((item for item in root.iter() if item.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None
    height, width = pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeX")
    units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YX"]
    return PixelSize.of(height, width, units[0], units[1])


def _per_unit(page: Any, tag: str) -> float | None:
    value = page.tags.valueof(tag)
    if not value or not value[0] or not value[1]:
        return None
    return float(value[0]) / float(value[1])


def _in_micrometers(unit: str) -> float:
    """One of a unit; ImageJ escapes the Greek letter. 0 for what is no length."""
    plain = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda sign: chr(int(sign[1], 16)), unit).strip()
    return MICROMETERS.get(plain) or MICROMETERS.get(plain.lower(), 0.0)
