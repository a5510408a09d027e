"""Masks for files and folders, and the objects in them."""

import glob
import io
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from tiledseg.errors import ImageError
from tiledseg.images.atomic import atomic_file
from tiledseg.images.band_writing import check_format
from tiledseg.images.canvas import cannot_write
from tiledseg.images.ome_zarr import is_store
from tiledseg.images.opening import is_slide, open_slide, slide_shape, stem_of
from tiledseg.images.writing import write_image, write_labels, write_mask
from tiledseg.masks.classes import labels_of
from tiledseg.masks.drawing import overlay
from tiledseg.masks.instances import measure
from tiledseg.masks.outlines import geojson
from tiledseg.prediction.class_objects import (
    clean_labels,
    measure_classes,
    number_instances,
    outline_classes,
)
from tiledseg.prediction.job import predict_slide
from tiledseg.prediction.options import SlideOptions, SlideTargets
from tiledseg.prediction.predictor import Predictor

logger = logging.getLogger(__name__)

LARGE = 50.0
"""Megapixels; larger images are not held in memory."""


@dataclass(frozen=True)
class PredictedFile:
    """A mask that was written."""

    image: Path
    mask: Path
    foreground: float
    """Fraction of pixels."""
    objects: int
    megapixels: float
    seconds: float
    """From opened image to written mask."""
    resumed: float = 0.0
    """Fraction of tiles that an earlier start had finished."""
    skipped: float = 0.0
    """Fraction of tiles that were left out."""


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Images among files, folders and patterns such as ``slides/*.png``.

    The folder of an OME-Zarr image is an image. Of folders and patterns, what is not named as an
    image is passed over, subfolders included.

    Raises:
        ImageError: A path does not exist, holds no image, or two images share a stem.
    """
    images = [image for path in paths for image in _images_at(path)]
    seen: dict[str, Path] = {}
    for image in images:
        stem = stem_of(image)
        if stem in seen:
            raise ImageError(
                f"{seen[stem]} and {image} would both be written as {stem}.png; "
                "predict them into different folders"
            )
        seen[stem] = image
    return images


def predict_files(
    predictor: Predictor,
    images: Sequence[Path],
    output: Path,
    options: SlideOptions = SlideOptions(),  # noqa: B008 - frozen
    *,
    with_overlay: bool = False,
    observer: Callable[[PredictedFile], None] = lambda _: None,
) -> list[PredictedFile]:
    """Write a mask per image into ``output``, or what else is wanted of it.

    Of several classes a mask has a palette, whose index is the label.

    Images of more than ``LARGE`` megapixels, OME-Zarr, and whatever is not a plain PNG mask go
    through ``predict_slide``, in memory that does not grow with the image. A mask gets its name
    when all else of its image is there, so what a stop leaves behind is known by its missing mask.

    All images are opened, and all outputs looked for, before anything is written.

    Args:
        predictor: The network.
        images: Files whose stems differ.
        output: Folder for masks, made if missing; overlays go to ``output/overlay``, those of
            images that are not held in memory at the size of a screen.
        options: What is wanted; by default masks as PNG, gray, 0 or 255.
        with_overlay: Write the mask on the image as well.
        observer: Told about every file that was written.

    Returns:
        What was written; nothing of images that ``options.skip_existing`` left alone.

    Raises:
        OutputError: A file exists, or the folder cannot be written.
        ImageError: An image cannot be read.
    """
    if with_overlay:
        options = replace(options, paint=overlay)
    remaining = _remaining(images, output, options)
    streamed = {image: _is_streamed(image, output, options) for image in remaining}
    if len(remaining) < len(images):
        count = len(images) - len(remaining)
        logger.info("%d of %d images are left alone: their outputs exist", count, len(images))
    done = []
    for image, own in remaining.items():
        began = time.perf_counter()
        predict = _predict_streamed if streamed[image] else _predict_in_memory
        file = predict(predictor, image, output, own)
        done.append(replace(file, seconds=time.perf_counter() - began))
        observer(done[-1])
    return done


def explain_tiles(predictor: Predictor, image: Path) -> str:
    """How an image would be cut into tiles, and why so; a fact a line.

    Raises:
        ImageError: It cannot be read.
        TilingError: The network cannot predict it tile by tile.
    """
    height, width = slide_shape(image)
    return "\n".join((str(image), *predictor.plan(height, width).lines()))


def _remaining(
    images: Sequence[Path], output: Path, options: SlideOptions
) -> dict[Path, SlideOptions]:
    """Images that are not left alone, each with leave to replace what there is of its files."""
    remaining = {}
    for image in images:
        targets = SlideTargets.of(image, output, options)
        targets.check(image, overwrite=options.overwrite or options.skip_existing)
        there = [path.exists() for path in targets]
        if not (options.skip_existing and all(there)):
            overwrite = options.overwrite or any(there)
            remaining[image] = replace(options, skip_existing=False, overwrite=overwrite)
    return remaining


def _is_streamed(image: Path, output: Path, options: SlideOptions) -> bool:
    """Whether an image, which is opened for it, is predicted without being held in memory."""
    height, width = slide_shape(image)
    picture = SlideTargets.of(image, output, options).picture
    check_format(picture, height, width, options.form)
    plain = options.form == "png" and options.content == "mask"
    if image.is_dir() or not plain or options.interest or options.skip_background:
        return True
    return height * width > LARGE * 1e6


def _predict_streamed(
    predictor: Predictor, image: Path, output: Path, options: SlideOptions
) -> PredictedFile:
    found = predict_slide(predictor, image, output, options)
    return PredictedFile(
        image=image,
        mask=found.picture,
        foreground=found.foreground,
        objects=found.objects,
        megapixels=found.megapixels,
        seconds=0.0,
        resumed=found.resumed / found.tiles,
        skipped=found.skipped / found.tiles,
    )


def _predict_in_memory(
    predictor: Predictor, image: Path, output: Path, options: SlideOptions
) -> PredictedFile:
    targets = SlideTargets.of(image, output, options)
    pixels = _pixels(image)
    probability = predictor.probability(pixels, options.mode)
    classes = labels_of(probability)
    classes = clean_labels(
        classes, min_object_area=options.min_object_area, max_hole_area=options.max_hole_area
    )
    mask, labels = classes > 0, number_instances(classes)
    several = probability.shape[2] > 1
    targets.check(image, overwrite=options.overwrite)  # what was not there at first may be now
    if len(list(targets)) > 1:
        _withdraw(targets.picture)
    if targets.overlay is not None and options.paint is not None:
        write_image(targets.overlay, options.paint(pixels, classes))
    if targets.labels is not None:
        name, names = predictor.experiment.dataset.name, predictor.experiment.class_names
        if several:
            table = measure_classes(labels, classes, probability, names)
            outlines = outline_classes(labels, table, names, targets.stem)
        else:
            table = measure(labels, probability[..., 0])
            outlines = geojson(labels, table, name, targets.stem)
        _write_objects(targets, labels, table, outlines)
    if several:
        write_labels(targets.picture, classes, probability.shape[2])
    else:
        write_mask(targets.picture, mask)
    return PredictedFile(
        image=image,
        mask=targets.picture,
        foreground=float(mask.mean()),
        objects=int(labels.max()),
        megapixels=mask.size / 1e6,
        seconds=0.0,
    )


def _pixels(image: Path) -> NDArray[np.uint8]:
    """All of an image, read as a streamed one is."""
    slide = open_slide(image)
    try:
        height, width, _ = slide.shape
        return slide.read((slice(0, height), slice(0, width)))
    finally:
        slide.close()


def _withdraw(picture: Path) -> None:
    """Remove a mask that is replaced, so that it is never beside another prediction's objects."""
    try:
        if picture.exists():
            picture.unlink()
    except OSError as error:
        raise cannot_write(picture, error) from None


def _write_objects(
    targets: SlideTargets, labels: NDArray[np.int32], table: pd.DataFrame, outlines: dict[str, Any]
) -> None:
    picture = io.BytesIO()
    tifffile.imwrite(picture, labels.astype(np.uint32), compression="zlib")
    contents = (
        table.to_csv(index=False, float_format="%.6g").encode(),
        json.dumps(outlines).encode(),
        picture.getvalue(),
    )
    for path, content in zip((*targets.objects, targets.labels), contents, strict=True):
        if path is not None:
            with atomic_file(path) as file:
                file.write(content)


def _images_at(path: Path) -> list[Path]:
    if is_store(path):
        return [path]
    if path.is_dir():
        found = [item for item in _list_images(path) if is_slide(item)]
        if not found:
            raise ImageError(f"{path}: no image in this folder; name one that holds images")
        return found
    if path.exists():
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207 - absolute
    if not matches:
        raise ImageError(f"{path}: no such file or folder")
    found = [match for match in matches if is_slide(match)]
    if not found:
        raise ImageError(
            f"{path}: no image among what it matches ({matches[0].name}, ...); name files that "
            "are images, or folders, one by one"
        )
    return found


def _list_images(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ImageError(
            f"{folder}: cannot be listed ({error.strerror}); give a folder that holds images"
        ) from None
