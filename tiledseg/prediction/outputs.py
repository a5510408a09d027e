"""The files of a prediction: mask, probabilities or instances, objects, overlay."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg.errors import OutputError
from tiledseg.images.atomic import cannot_write
from tiledseg.images.band_writing import SUFFIXES, write_picture
from tiledseg.images.names import as_text
from tiledseg.images.pyramid import Picture
from tiledseg.images.sources import Slide
from tiledseg.images.writing import write_image
from tiledseg.masks.classes import label_palette
from tiledseg.masks.cleaning import LabelBands, clean_label_bands
from tiledseg.masks.outlines import feature
from tiledseg.prediction.canvas import FOREGROUND, PredictionCanvas
from tiledseg.prediction.instances import Class, ClassObjects
from tiledseg.prediction.options import Content, PredictionOptions, Targets
from tiledseg.prediction.overview import take_overview
from tiledseg.prediction.tile_selection import Skipped
from tiledseg.prediction.workplace import Workplace

_MOST_IN_PNG = 2**16 - 1


@dataclass(frozen=True)
class Result:
    """What there is to write of an image, beside its probabilities.

    Attributes:
        image: The file.
        slide: Its pixels.
        classes: What was looked for.
        min_object_area: Objects of fewer pixels are none.
        max_hole_area: Holes of at most so many pixels are filled.
        skipped: Tiles left out.
    """

    image: Path
    slide: Slide
    classes: Sequence[Class]
    min_object_area: int
    max_hole_area: int
    skipped: Skipped


@dataclass(frozen=True)
class Written:
    """What the files hold, and where they are."""

    foreground: float
    """Fraction of pixels."""
    objects: int
    moves: Sequence[tuple[Path, Path]]
    """Each file's place and its name, the picture last."""


def write_results(
    result: Result, workplace: Workplace, targets: Targets, options: PredictionOptions
) -> Written:
    """Write everything into the workplace.

    Raises:
        OutputError: Something cannot be written.
    """
    canvas = workplace.canvas
    bands = _clean(result, workplace)
    objects = ClassObjects(bands, result.classes)
    areas = f"{result.min_object_area} {result.max_hole_area}"
    settled = f"{as_text(targets.stem)}-{workplace.identity} {areas}"
    made: list[tuple[Path, Path]] = []
    if options.with_objects and targets.labels is not None:
        made += _write_objects(workplace, targets, objects)
        numbers = workplace.file(targets.labels.name)
        everything = (band.astype(np.uint32) for band in objects.numbers())
        picture = _picture(result, canvas, np.uint32, everything, "instances", settled)
        write_picture(numbers, picture, "ome-tiff", workplace.folder)
        made.append((numbers, targets.labels))
    if targets.skipped is not None:
        record = {"image": as_text(result.image.name), **result.skipped.record()}
        path = workplace.file(targets.skipped.name)
        _write_text(path, json.dumps(record, indent=1))
        made.append((path, targets.skipped))
    if targets.overlay is not None and options.paint is not None:
        seen = take_overview(result.slide, objects.bands, len(result.classes) + 1)
        path = workplace.file("overlay.png")
        write_image(path, options.paint(seen.image, seen.labels))
        made.append((path, targets.overlay))
    path = workplace.file(f"picture{SUFFIXES[options.format]}")
    dtype, content = _picture_bands(canvas, objects, options, targets)
    picture = _picture(result, canvas, dtype, content, options.content, settled)
    write_picture(path, picture, options.format, workplace.folder)
    made.append((path, targets.picture))
    return Written(objects.area / (canvas.height * canvas.width), objects.count, made)


def _clean(result: Result, workplace: Workplace) -> LabelBands:
    """Labels without small objects and holes, kept beside the others if that takes any work."""
    canvas = workplace.canvas
    if result.min_object_area <= 1 and result.max_hole_area <= 0:
        return canvas.label_bands
    labels = [each.label for each in result.classes]
    cleaned = clean_label_bands(
        canvas.label_bands, labels, smallest=result.min_object_area, holes=result.max_hole_area
    )
    kept = workplace.new_canvas("cleaned")
    top = 0
    for band in cleaned():
        kept.write((slice(top, top + len(band)), slice(0, canvas.width)), band)
        top += len(band)
    return kept.bands


def _picture_bands(
    canvas: PredictionCanvas, objects: ClassObjects, options: PredictionOptions, targets: Targets
) -> tuple[Any, Iterator[NDArray[Any]]]:
    """Type and bands of the picture that was asked for."""
    if options.content == "instances":
        if options.format == "png" and objects.count > _MOST_IN_PNG:
            raise OutputError(
                f"{targets.picture}: {objects.count} labels do not fit into a PNG of 16 bits; "
                "pass --format ome-tiff, what is predicted so far is used again"
            )
        dtype: Any = np.uint16 if options.format == "png" else np.uint32
        return dtype, (band.astype(dtype) for band in objects.numbers())
    if options.content == "probability":
        return np.uint8, _agree_with_mask(canvas, objects.bands)
    if len(objects.classes) > 1:
        return np.uint8, objects.bands()
    return np.uint8, (band * np.uint8(255) for band in objects.bands())


def _agree_with_mask(canvas: PredictionCanvas, bands: LabelBands) -> Iterator[NDArray[np.uint8]]:
    """Probabilities of one class that agree with the cleaned mask.

    They are held just under 0.5 where an object was dropped, and at 0.5 where a hole was filled.
    """
    for probability, labels in zip(canvas.probabilities[0].bands(), bands(), strict=True):
        yield np.where(
            labels > 0, np.maximum(probability, FOREGROUND), np.minimum(probability, FOREGROUND - 1)
        ).astype(np.uint8)


def _picture(
    result: Result,
    canvas: PredictionCanvas,
    dtype: Any,
    bands: Iterator[NDArray[Any]],
    content: Content,
    settled: str,
) -> Picture:
    several = len(result.classes) > 1 and content == "mask"
    return Picture(
        height=canvas.height,
        width=canvas.width,
        dtype=np.dtype(dtype),
        bands=bands,
        averages=content == "probability",
        pixel_size=result.slide.pixel_size,
        name=as_text(result.image.name),
        identity=f"{settled} {content}",
        palette=label_palette(len(result.classes) + 1) if several else None,
    )


def _write_objects(
    workplace: Workplace, targets: Targets, objects: ClassObjects
) -> list[tuple[Path, Path]]:
    """CSV and GeoJSON; returns where they are and where they belong."""
    table = objects.measure(workplace.canvas.label_probabilities(objects.bands()))
    made = [(workplace.file(target.name), target) for target in targets.objects]
    (csv, _), (outlines, _) = made
    _write_text(csv, table.to_csv(index=False, float_format="%.6g"))
    rows = table.drop(columns="class", errors="ignore").to_dict("records")
    try:
        with outlines.open("x", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            comma = ""
            for each, number, pieces in objects.outlines():
                row = {str(key): value for key, value in rows[number - 1].items()}
                one = feature(row, pieces, each.name, as_text(targets.stem), each.color)
                file.write(f"{comma}\n{json.dumps(one)}")
                comma = ","
            file.write("\n]}\n")
    except OSError as error:
        raise cannot_write(outlines, error) from None
    return made


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error) from None
