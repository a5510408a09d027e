"""Masks for files and folders, and the objects in them."""

import glob
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from tiledseg.data.images import list_images, read_image, write_image, write_labels, write_mask
from tiledseg.errors import ImageError, OutputError
from tiledseg.labels import labels_of
from tiledseg.objects import measured
from tiledseg.outlines import geojson
from tiledseg.pictures import overlay
from tiledseg.prediction import Mode, Predictor

OBJECT_SUFFIXES = (".csv", ".geojson", ".tif")
"""A row per object, outlines, and labels."""


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


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Images among files, folders and patterns such as ``slides/*.png``.

    Raises:
        ImageError: A path does not exist, holds no image, or two images share a stem.
    """
    images = [image for path in paths for image in _images_at(path)]
    seen: dict[str, Path] = {}
    for image in images:
        if image.stem in seen:
            raise ImageError(
                f"{seen[image.stem]} and {image} would both be written as {image.stem}.png; "
                "predict them into different folders"
            )
        seen[image.stem] = image
    return images


def predict_files(
    predictor: Predictor,
    images: Sequence[Path],
    output: Path,
    *,
    mode: Mode = "tiled",
    with_overlay: bool = False,
    with_objects: bool = False,
    smallest: int = 0,
    holes: int = 0,
    overwrite: bool = False,
    observer: Callable[[PredictedFile], None] = lambda _: None,
) -> list[PredictedFile]:
    """Write one mask ``STEM.png`` per image into ``output``.

    It is grey, 0 or 255; of several classes it has a palette, whose index is the label.

    Args:
        predictor: The network.
        images: Files whose stems differ.
        output: Folder for masks, made if missing; overlays go to ``output/overlay``.
        mode: See ``Predictor.probability``.
        with_overlay: Write the mask on the image as well.
        with_objects: Write ``output/objects/STEM``: ``.csv`` with a row per object, ``.geojson``
            with outlines, ``.tif`` with labels (32 bits, 0 is background).
        smallest: Objects of fewer pixels are dropped.
        holes: Holes of at most so many pixels are filled.
        overwrite: Replace masks that exist.
        observer: Told about every file that was written.

    Raises:
        OutputError: A mask exists, or the folder cannot be written.
        ImageError: An image cannot be read.
    """
    if not overwrite:
        _refuse_to_overwrite(images, output, with_objects)
    _refuse_to_replace_images(images, output)
    done = []
    for image, target in _targets(images, output):
        began = time.perf_counter()
        pixels = read_image(image)
        probability = predictor.probability(pixels, mode)
        classes = cleaned_labels(labels_of(probability), smallest=smallest, holes=holes)
        mask, labels = classes > 0, numbered(classes)
        several = probability.shape[2] > 1
        if several:
            write_labels(target, classes, probability.shape[2])
        else:
            write_mask(target, mask)
        if with_overlay:
            write_image(output / "overlay" / target.name, overlay(pixels, classes))
        if with_objects:
            stem = output / "objects" / image.stem
            if several:
                names = predictor.experiment.class_names
                table = measured_classes(labels, classes, probability, names)
                outlines = outlined_classes(labels, table, names, stem.name)
            else:
                table = measured(labels, probability[..., 0])
                outlines = geojson(labels, table, predictor.experiment.dataset.name, stem.name)
            _write_objects(stem, labels, table, outlines)
        done.append(
            PredictedFile(
                image=image,
                mask=target,
                foreground=float(mask.mean()),
                objects=int(labels.max()),
                megapixels=mask.size / 1e6,
                seconds=time.perf_counter() - began,
            )
        )
        observer(done[-1])
    return done


def _write_objects(
    stem: Path, labels: NDArray[np.int32], table: pd.DataFrame, outlines: dict[str, Any]
) -> None:
    picture = io.BytesIO()
    tifffile.imwrite(picture, labels.astype(np.uint32), compression="zlib")
    contents = (
        table.to_csv(index=False, float_format="%.6g").encode(),
        json.dumps(outlines).encode(),
        picture.getvalue(),
    )
    for suffix, content in zip(OBJECT_SUFFIXES, contents, strict=True):
        with atomic_file(stem.with_name(stem.name + suffix)) as file:
            file.write(content)


def _images_at(path: Path) -> list[Path]:
    if path.is_dir():
        found = list_images(path)
        if not found:
            raise ImageError(f"{path}: no image in this folder; name one that holds images")
        return found
    if path.exists():
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207 - absolute
    if not matches:
        raise ImageError(f"{path}: no such file or folder")
    return matches


def _targets(images: Sequence[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    for image in images:
        yield image, output / f"{image.stem}.png"


def _refuse_to_replace_images(images: Sequence[Path], output: Path) -> None:
    for image, target in _targets(images, output):
        if target.resolve() == image.resolve():
            raise OutputError(f"{target}: the mask would replace its image; name another --output")


def _refuse_to_overwrite(images: Sequence[Path], output: Path, with_objects: bool) -> None:
    suffixes = OBJECT_SUFFIXES if with_objects else ()
    for image, target in _targets(images, output):
        others = (output / "objects" / f"{image.stem}{suffix}" for suffix in suffixes)
        for path in (target, *others):
            if path.exists():
                raise OutputError(f"{path} exists; name another --output, or pass --overwrite")
