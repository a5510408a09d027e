"""What is made of an image's probabilities: mask, probabilities or labels, and objects."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.errors import OutputError
from tiledseg.objects import Measurements
from tiledseg.outlines import feature, streamed_polygons
from tiledseg.slide_prediction.options import Content, SlideOptions, SlideTargets
from tiledseg.slides.canvas import Canvas, cannot_write
from tiledseg.slides.cleaning import Bands, cleaned_bands
from tiledseg.slides.components import Components, find_components
from tiledseg.slides.journal import Workplace
from tiledseg.slides.pixel_size import PixelSize
from tiledseg.slides.pyramid import Picture
from tiledseg.slides.skipping import Skipped
from tiledseg.slides.writing import write_picture

FOREGROUND = 128
"""The smallest level of probability that is foreground: 0.5 in 8 bits."""
_MOST_IN_PNG = 2**16 - 1


@dataclass(frozen=True)
class Result:
    """What there is to write of an image, beside its probabilities.

    Attributes:
        image: The file.
        name: Class of its objects.
        smallest: Objects of fewer pixels are none.
        pixel_size: Of the image, if known.
        skipped: Tiles left out.
    """

    image: Path
    name: str
    smallest: int
    pixel_size: PixelSize | None
    skipped: Skipped


def write_results(
    result: Result, workplace: Workplace, targets: SlideTargets, options: SlideOptions
) -> tuple[float, int]:
    """Write everything into the workplace, then give it its names, the picture last.

    Returns:
        The fraction of foreground, and the number of objects.

    Raises:
        OutputError: Something cannot be written; nothing has its name then, but perhaps files
            that go with the picture.
    """
    canvas = workplace.canvas
    mask = _cleaned_mask(workplace, result.smallest, options.holes)
    objects = find_components(mask())
    form, content = options.form, options.content
    settled = f"{workplace.folder.name} {result.smallest} {options.holes}"
    made: list[tuple[Path, Path]] = []
    if options.with_objects and targets.labels is not None:
        made += _write_objects(result, workplace, targets, mask, objects)
        labels = workplace.file(targets.labels.name)
        bands = _labels(objects, mask, np.uint32)
        picture = _picture(result, canvas, np.uint32, bands, "labels", settled)
        write_picture(labels, picture, "ome-tiff", workplace.folder)
        made.append((labels, targets.labels))
    if targets.skipped is not None:
        record = {"image": result.image.name, **result.skipped.record()}
        path = workplace.file(targets.skipped.name)
        _write_text(path, json.dumps(record, indent=1))
        made.append((path, targets.skipped))
    if content == "labels":
        if form == "png" and objects.count > _MOST_IN_PNG:
            raise OutputError(
                f"{targets.picture}: {objects.count} labels do not fit into a PNG of 16 bits; "
                "pass --format ome-tiff, what is predicted so far is used again"
            )
        dtype: Any = np.uint16 if form == "png" else np.uint32
        bands = _labels(objects, mask, dtype)
    elif content == "mask":
        dtype, bands = np.uint8, (band.astype(np.uint8) * np.uint8(255) for band in mask())
    else:
        dtype, bands = np.uint8, _agreeing(canvas, mask)
    path = workplace.file(targets.picture.name)
    picture = _picture(result, canvas, dtype, bands, content, settled)
    write_picture(path, picture, form, workplace.folder)
    made.append((path, targets.picture))
    for source, target in made:
        _give_name(source, target, workplace)
    foreground = objects.areas.sum() / (canvas.height * canvas.width)
    return float(foreground), objects.count


def _cleaned_mask(workplace: Workplace, smallest: int, holes: int) -> Bands:
    """The mask without small objects and holes, kept on disk if that takes any work."""
    canvas = workplace.canvas

    def raw() -> Iterator[NDArray[np.bool_]]:
        return (band >= FOREGROUND for band in canvas.bands())

    if smallest <= 1 and holes <= 0:
        return raw
    kept = Canvas(workplace.file("mask"), canvas.height, canvas.width, np.bool_)
    top = 0
    for band in cleaned_bands(raw, smallest=smallest, holes=holes)():
        kept.write((slice(top, top + len(band)), slice(0, canvas.width)), band)
        top += len(band)
    return kept.bands


def _labels(objects: Components, mask: Bands, dtype: Any) -> Iterator[NDArray[Any]]:
    return (band.astype(dtype) for band in objects.labels(mask()))


def _agreeing(canvas: Canvas, mask: Bands) -> Iterator[NDArray[np.uint8]]:
    """Probabilities whose cut is the mask.

    They are just under 0.5 where an object was dropped, and just there where a hole was filled.
    """
    for levels, band in zip(canvas.bands(), mask(), strict=True):
        yield np.where(
            band, np.maximum(levels, FOREGROUND), np.minimum(levels, FOREGROUND - 1)
        ).astype(np.uint8)


def _picture(
    result: Result,
    canvas: Canvas,
    dtype: Any,
    bands: Iterator[NDArray[Any]],
    content: Content,
    settled: str,
) -> Picture:
    return Picture(
        height=canvas.height,
        width=canvas.width,
        dtype=np.dtype(dtype),
        bands=bands,
        averages=content == "probability",
        pixel_size=result.pixel_size,
        name=result.image.name,
        identity=f"{settled} {content}",
    )


def _write_objects(
    result: Result, workplace: Workplace, targets: SlideTargets, mask: Bands, objects: Components
) -> list[tuple[Path, Path]]:
    """CSV and GeoJSON; returns where they are and where they belong."""
    table = _measured(workplace.canvas, mask, objects)
    made = [(workplace.file(target.name), target) for target in targets.objects]
    (csv, _), (outlines, _) = made
    _write_text(csv, table.to_csv(index=False, float_format="%.6g"))
    regions = find_components(mask(), connectivity=4)
    rows = table.to_dict("records")
    pairs = zip(objects.labels(mask()), regions.labels(mask()), strict=True)
    try:
        with outlines.open("x", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            comma = ""
            for label, pieces in streamed_polygons(pairs):
                row = {str(key): value for key, value in rows[label - 1].items()}
                one = feature(row, pieces, result.name, targets.stem)
                file.write(f"{comma}\n{json.dumps(one)}")
                comma = ","
            file.write("\n]}\n")
    except OSError as error:
        raise cannot_write(outlines, error) from None
    return made


def _measured(canvas: Canvas, mask: Bands, objects: Components) -> pd.DataFrame:
    measurements, top = Measurements(objects.count), 0
    for levels, labels in zip(canvas.bands(), objects.labels(mask()), strict=True):
        measurements.add(labels, levels.astype(np.float32) / np.float32(255), top)
        top += len(levels)
    return measurements.table()


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error) from None


def _give_name(source: Path, target: Path, workplace: Workplace) -> None:
    """Move what is complete to where it belongs; what it replaces goes with the workplace."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            target.rename(workplace.file(f"replaced-{target.name}"))
        source.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from None
