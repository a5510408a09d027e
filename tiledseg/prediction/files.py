"""Prediction of files and folders of images."""

import glob
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tiledseg.backend import hold_weights
from tiledseg.data.integrity import warn_of_unused_bits
from tiledseg.errors import ImageError
from tiledseg.images.band_writing import check_format
from tiledseg.images.ome_zarr import is_store
from tiledseg.images.opening import is_slide, slide_shape, stem_of
from tiledseg.images.unused import describe_unused, explain_unused, list_unused
from tiledseg.masks.drawing import overlay
from tiledseg.prediction.job import predict_unnamed
from tiledseg.prediction.naming import NamingQueue, PredictedImage
from tiledseg.prediction.options import PredictionOptions, Targets
from tiledseg.prediction.predictor import Predictor

logger = logging.getLogger(__name__)


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Images among files, folders and patterns such as ``slides/*.png``.

    The folder of an OME-Zarr image is an image. Of folders and patterns, what is not named as an
    image is passed over, subfolders included, and told in a line of the log.

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
    options: PredictionOptions = PredictionOptions(),  # noqa: B008 - frozen
    *,
    with_overlay: bool = False,
    observer: Callable[[PredictedImage], None] = lambda _: None,
) -> list[PredictedImage]:
    """Write a mask per image into ``output``, or what else is wanted of it.

    Of several classes a mask has a palette, whose index is the label.

    A mask gets its name when all else of its image is there, so what a stop leaves behind is known
    by its missing mask.

    The headers of several images are read, and all outputs looked for, before anything is written.

    Args:
        predictor: The network.
        images: Files whose stems differ.
        output: Folder for masks, made if missing; overlays go to ``output/overlay``, reduced
            to 4096 pixels where a side is longer.
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
    if len(remaining) > 1:  # a single one is checked by what predicts it
        for image, (targets, own) in remaining.items():
            check_format(targets.picture, *slide_shape(image), own.format)
    if len(remaining) < len(images):
        count = len(images) - len(remaining)
        logger.info("%d of %d images are left alone: their outputs exist", count, len(images))
    done: list[PredictedImage] = []

    def on_named(predicted: PredictedImage) -> None:
        done.append(predicted)
        observer(predicted)

    with hold_weights(predictor.model), NamingQueue(on_named) as queue:
        for image, (targets, own) in remaining.items():
            if options.skip_existing and all(path.exists() for path in targets):
                continue  # another process has made them meanwhile
            queue.add(predict_unnamed(predictor, image, targets, own))
    warn_of_unused_bits([each.values for each in done])
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
    images: Sequence[Path], output: Path, options: PredictionOptions
) -> dict[Path, tuple[Targets, PredictionOptions]]:
    """Images that are not left alone, each with its files and leave to replace what there is."""
    remaining = {}
    for image in images:
        targets = Targets.of(image, output, options)
        targets.check(image, overwrite=options.overwrite or options.skip_existing)
        there = [path.exists() for path in targets]
        if not (options.skip_existing and all(there)):
            overwrite = options.overwrite or any(there)
            own = replace(options, skip_existing=False, overwrite=overwrite)
            remaining[image] = targets, own
    return remaining


def _images_at(path: Path) -> list[Path]:
    if is_store(path):
        return [path]
    if path.is_dir():
        listed = _list_images(path)
        found = [item for item in listed if is_slide(item)]
        unused = list_unused(path, found)
        told = describe_unused(unused, len(listed)) if unused else ""
        if not found:
            why = f" ({told})" if told else ""
            raise ImageError(f"{path}: no image in this folder{why}; name one that holds images")
        if told:
            logger.warning("%s: %s", path, told)
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
    unused = [explain_unused(match) for match in matches if not is_slide(match)]
    if unused:
        logger.warning("%s: %s", path, describe_unused(unused, len(matches)))
    return found


def _list_images(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ImageError(
            f"{folder}: cannot be listed ({error.strerror}); give a folder that holds images"
        ) from None
