"""Prediction of one image of any size: tiles, which survive a stop, then the files made of them.

    image --> tiles --> canvas --> cleaning --> objects --> files, renamed

The canvas of a large image is on disk, with a journal: after a stop, the next start predicts the
remaining tiles.
"""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg import __version__
from tiledseg.data.integrity import ValueRange
from tiledseg.errors import ImageError, OutputError
from tiledseg.images.band_writing import check_format
from tiledseg.images.hashing import hash_content
from tiledseg.images.limits import MAX_PIXELS
from tiledseg.images.opening import open_slide
from tiledseg.images.sources import Slide
from tiledseg.prediction.canvas import PredictionCanvas
from tiledseg.prediction.instances import classes_of
from tiledseg.prediction.journal import JournaledWorkplace, digest_key
from tiledseg.prediction.naming import PredictedImage, Unnamed, name_at_once
from tiledseg.prediction.options import Content, PredictionOptions, Targets
from tiledseg.prediction.outputs import Result, write_results
from tiledseg.prediction.predictor import Predictor
from tiledseg.prediction.tile_selection import RegionOfInterest, Skipped, choose_tiles
from tiledseg.prediction.workplace import Workplace
from tiledseg.tiling.geometry.regions import Region

logger = logging.getLogger(__name__)


LARGE = 50.0
"""Megapixels; larger images are not held in memory."""


def predict_image(
    predictor: Predictor, image: Path, output: Path, options: PredictionOptions
) -> PredictedImage:
    """Write a mask, or what else is wanted, of an image of any size.

    Until everything is there, nothing has its final name. Of an image of more than ``LARGE``
    megapixels what is unfinished lies in a hidden folder in ``output``, where the same call finds
    it again after a stop; memory does not grow with it. Smaller ones are held in memory.

    Args:
        predictor: The network.
        image: A file, or the folder of an OME-Zarr image.
        output: Folder for the files, made if missing.
        options: What is wanted.

    Raises:
        ImageError: The image, or the mask of where to look, cannot be read.
        OutputError: A file exists or cannot be written, or another process is at it.
        TilingError: The network cannot predict the image.
    """
    targets = Targets.of(image, output, options)
    targets.check(image, overwrite=options.overwrite)
    return name_at_once(predict_unnamed(predictor, image, targets, options))


def predict_unnamed(
    predictor: Predictor, image: Path, targets: Targets, options: PredictionOptions
) -> Unnamed:
    """What ``predict_image`` does, but for the names of the files.

    They were looked for before, and are again as soon as nobody else can write them.
    """
    began = time.perf_counter()
    slide = open_slide(image, predictor.experiment.image.bit_depth)
    try:
        height, width, _ = slide.shape
        check_format(targets.picture, height, width, options.format)
        _check_mode(image, height, width, options.mode)
        _check_content(image, predictor, options.content)
        interest = (
            RegionOfInterest.read(options.interest, height, width) if options.interest else None
        )
        workplace = _open_workplace(predictor, image, (height, width), targets, options)
        try:
            targets.check(image, overwrite=options.overwrite)
            job = _Job(predictor, image, slide, interest, workplace, options)
            skipped, resumed = _predict_tiles(job)
            tiling = predictor.experiment.tiling
            result = Result(
                image=image,
                slide=slide,
                classes=classes_of(predictor.experiment),
                min_object_area=_first(options.min_object_area, tiling.min_object_area),
                max_hole_area=_first(options.max_hole_area, tiling.max_hole_area),
                skipped=skipped,
            )
            written = write_results(result, workplace, targets, options)
        except BaseException:
            workplace.leave()
            raise
    finally:
        slide.close()
    predicted = PredictedImage(
        image=image,
        mask=targets.picture,
        foreground=written.foreground,
        objects=written.objects,
        megapixels=height * width / 1e6,
        seconds=time.perf_counter() - began,
        tiles=skipped.tiles,
        resumed=resumed,
        skipped=len(skipped.all),
        values=ValueRange(image, slide.largest, slide.bits),
    )
    return Unnamed(predicted, targets, options, workplace, written.moves)


def _open_workplace(
    predictor: Predictor,
    image: Path,
    shape: tuple[int, int],
    targets: Targets,
    options: PredictionOptions,
) -> Workplace:
    """In memory for a small image, else on disk with a journal."""
    folder, outputs = targets.picture.parent, predictor.model.output_shape[-1]
    if shape[0] * shape[1] > LARGE * 1e6:
        key = work_key(predictor, image, options)
        return JournaledWorkplace(folder, targets.stem, key, shape, outputs)
    # A digest of the network takes longer than a small image; only OME-TIFF holds an identity.
    identified = options.format == "ome-tiff" or options.with_objects
    identity = digest_key(work_key(predictor, image, options)) if identified else ""
    return Workplace(folder, targets.stem, identity, shape, outputs)


def _first(override: int | None, setting: int) -> int:
    return setting if override is None else override


def work_key(predictor: Predictor, image: Path, options: PredictionOptions) -> Mapping[str, Any]:
    """What the probabilities of an image depend on; cleaning, content and format do not count."""
    settings = predictor.experiment.model_dump(mode="json", include={"image", "tiling"})
    interest = options.interest
    return {
        "program": __version__,
        "model": model_digest(predictor.model),
        "threshold": predictor.threshold,
        "runtime": predictor.runtime,
        "settings": {**settings, "mode": options.mode},
        "image": hash_content(image),
        "region of interest": None if interest is None else hash_content(interest),
        "skipping of background": options.skip_background,
    }


def model_digest(model: Any) -> str:
    """A digest of a network's layers and weights."""
    digest = hashlib.blake2b(model.to_json().encode(), digest_size=16)
    for weight in model.weights:
        digest.update(np.asarray(weight).tobytes())
    return digest.hexdigest()


def _check_mode(image: Path, height: int, width: int, mode: str) -> None:
    if mode != "tiled" and height * width > MAX_PIXELS:
        raise ImageError(
            f"{image}: has {width} x {height} pixels, and mode {mode} holds all of them in "
            "memory; use --mode tiled"
        )


def _check_content(image: Path, predictor: Predictor, content: Content) -> None:
    if content == "probability" and predictor.experiment.model.num_classes > 1:
        raise OutputError(
            f"{image}: of several classes each has a probability, and a picture holds one; use "
            "--content mask for the labels"
        )


@dataclass(frozen=True)
class _Job:
    """What it takes to predict one image."""

    predictor: Predictor
    image: Path
    slide: Slide
    interest: RegionOfInterest | None
    workplace: Workplace
    options: PredictionOptions


def _predict_tiles(job: _Job) -> tuple[Skipped, int]:
    """Fill the canvas; returns the tiles left out, and how many were finished before."""
    options, workplace = job.options, job.workplace
    sink = _Sink(workplace.canvas, job.interest)
    if options.mode != "tiled":
        job.predictor.predict_regions(job.slide, sink, options.mode)
        return Skipped(1), 0
    plan = job.predictor.plan(*job.slide.shape[:2])
    grid = plan.grid
    skipped = choose_tiles(grid, job.slide, job.interest, options.skip_background)
    before = workplace.finished_tiles()
    done, total = len(before), len(grid.tiles) - len(skipped.all)
    if before:
        logger.warning("%s: goes on after %d of %d tiles", job.image, done, total)
    options.on_tiles(job.image, done, total)

    def enter(tiles: Sequence[int]) -> None:
        nonlocal done
        workplace.finish(tiles)
        done += len(tiles)
        options.on_tiles(job.image, done, total)

    if done < total:
        finished = before | skipped.all
        job.predictor.predict_regions(job.slide, sink, plan=plan, finished=finished, on_batch=enter)
    return skipped, len(before)


class _Sink:
    """Keeps what is inside the region of interest."""

    def __init__(self, canvas: PredictionCanvas, interest: RegionOfInterest | None) -> None:
        self._canvas, self._interest = canvas, interest

    def write(self, region: Region, values: NDArray[np.float32]) -> None:
        """Take the values of a rectangle."""
        inside = None if self._interest is None else self._interest.inside(region)
        self._canvas.write(region, values, inside)
