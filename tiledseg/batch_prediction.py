"""Masks for files and folders, and the objects in them."""

import glob
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from tiledseg.class_objects import (
    cleaned_labels,
    measured_classes,
    numbered,
    outlined_classes,
)
from tiledseg.data.atomic import atomic_file
from tiledseg.data.image_writing import write_image, write_labels, write_mask
from tiledseg.data.images import list_images, read_image
from tiledseg.data.ome_zarr import is_store
from tiledseg.errors import ImageError, OutputError
from tiledseg.labels import labels_of
from tiledseg.objects import measured
from tiledseg.outlines import geojson
from tiledseg.pictures import overlay
from tiledseg.prediction import Predictor
from tiledseg.slide_prediction.options import SlideOptions, SlideTargets
from tiledseg.slide_prediction.predict import predict_slide
from tiledseg.slides.opening import SLIDE_SUFFIXES, slide_shape, stem_of

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

    The folder of an OME-Zarr image is an image.

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
    through ``predict_slide``, in memory that does not grow with the image.

    Args:
        predictor: The network.
        images: Files whose stems differ.
        output: Folder for masks, made if missing; overlays go to ``output/overlay``, those of
            images that are not held in memory at the size of a screen.
        options: What is wanted; by default masks as PNG, grey, 0 or 255.
        with_overlay: Write the mask on the image as well.
        observer: Told about every file that was written.

    Raises:
        OutputError: A file exists, or the folder cannot be written.
        ImageError: An image cannot be read.
    """
    for image in images:
        SlideTargets.of(image, output, options).check(image, overwrite=options.overwrite)
        painted = _overlay_path(image, output)
        if with_overlay and painted.exists() and not options.overwrite:
            raise OutputError(f"{painted} exists; name another --output, or pass --overwrite")
    done = []
    for image in images:
        began = time.perf_counter()
        if is_streamed(image, options):
            file = _predict_streamed(predictor, image, output, options, with_overlay)
        else:
            file = _predict_in_memory(predictor, image, output, options, with_overlay)
        done.append(replace(file, seconds=time.perf_counter() - began))
        observer(done[-1])
    return done


def is_streamed(image: Path, options: SlideOptions) -> bool:
    """Whether an image is predicted without being held in memory.

    Raises:
        ImageError: It cannot be read.
    """
    plain = options.form == "png" and options.content == "mask"
    if image.is_dir() or not plain or options.interest or options.skip_background:
        return True
    height, width = slide_shape(image)
    return height * width > LARGE * 1e6


def explained(predictor: Predictor, image: Path) -> str:
    """How an image would be cut into tiles, and why so; a fact a line.

    Raises:
        ImageError: It cannot be read.
        TilingError: The network cannot predict it tile by tile.
    """
    height, width = slide_shape(image)
    return "\n".join((str(image), *predictor.plan(height, width).lines()))


def _predict_streamed(
    predictor: Predictor, image: Path, output: Path, options: SlideOptions, with_overlay: bool
) -> PredictedFile:
    options = replace(options, with_overview=with_overlay)
    found = predict_slide(predictor, image, output, options)
    if found.overview is not None:
        painted = overlay(found.overview.image, found.overview.labels)
        write_image(_overlay_path(image, output), painted)
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
    predictor: Predictor, image: Path, output: Path, options: SlideOptions, with_overlay: bool
) -> PredictedFile:
    targets = SlideTargets.of(image, output, options)
    pixels = read_image(image)
    probability = predictor.probability(pixels, options.mode)
    classes = labels_of(probability)
    classes = cleaned_labels(classes, smallest=options.smallest, holes=options.holes)
    mask, labels = classes > 0, numbered(classes)
    several = probability.shape[2] > 1
    if several:
        write_labels(targets.picture, classes, probability.shape[2])
    else:
        write_mask(targets.picture, mask)
    if with_overlay:
        write_image(_overlay_path(image, output), overlay(pixels, classes))
    if targets.labels is not None:
        name, names = predictor.experiment.dataset.name, predictor.experiment.class_names
        if several:
            table = measured_classes(labels, classes, probability, names)
            outlines = outlined_classes(labels, table, names, targets.stem)
        else:
            table = measured(labels, probability[..., 0])
            outlines = geojson(labels, table, name, targets.stem)
        _write_objects(targets, labels, table, outlines)
    return PredictedFile(
        image=image,
        mask=targets.picture,
        foreground=float(mask.mean()),
        objects=int(labels.max()),
        megapixels=mask.size / 1e6,
        seconds=0.0,
    )


def _overlay_path(image: Path, output: Path) -> Path:
    return output / "overlay" / f"{stem_of(image)}.png"


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
        others = (
            item
            for item in path.iterdir()
            if item.suffix.lower() in SLIDE_SUFFIXES and not item.name.startswith(".")
        )
        found = sorted([*list_images(path), *others])
        if not found:
            raise ImageError(f"{path}: no image in this folder; name one that holds images")
        return found
    if path.exists():
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207 - absolute
    if not matches:
        raise ImageError(f"{path}: no such file or folder")
    return matches
