"""Segmenting images for pages; the first call imports Keras."""

import gc
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboards.private_folders import settle
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_labels, write_probability
from tiledseg.masks.classes import Labels, labels_of
from tiledseg.prediction.instances import Class, ClassObjects, classes_of

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Mode, Predictor

MOST_MODELS = 2
Report = Callable[[float, str], object]
"""Takes how far some work is, as a share and in words."""
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Objects:
    """The objects of a mask."""

    count: int
    """Of all classes."""
    median_area: float
    """Pixels."""
    foreground: float
    """Fraction of pixels."""


@dataclass(frozen=True)
class Segmentation:
    """An image and its masks, as files."""

    image: Path
    masks: dict[str, Path]
    """Mode to probability, 8 bits, or to labels where the model has several classes."""
    objects: dict[str, Objects]
    seams: dict[str, list[int]]
    threshold: float = 0.5
    """What the model gives from which on a pixel is foreground; it lies at 128 in the masks."""
    labels: Sequence[str] = ()
    """Names of the model's labels from 0, the background."""


def segment(
    uri: str,
    image: Path,
    modes: Sequence["Mode"],
    *,
    folder: Path | None = None,
    content: str = "",
    report: Report = lambda _share, _words: None,
) -> Segmentation:
    """Segment one image; one at a time in this process, so that memory is bounded.

    Args:
        uri: The model, for example ``models:/NAME/3``.
        image: The image.
        modes: ``tiled``, ``resized`` or both.
        folder: Where the masks are written; by default beside the image.
        content: What the address alone does not say of the model, see ``load_model``.
        report: Told how far it is, as a share and in words. What it raises ends the work.

    Raises:
        TiledsegError: The model or the image cannot be used.
    """
    masks: dict[str, Path] = {}
    objects: dict[str, Objects] = {}
    report(0.0, "waiting for another image")
    with _one_at_a_time:
        report(0.0, "loading the network")
        predictor = load_model(uri, content)
        pixels = read_image(image, bit_depth=predictor.experiment.image.bit_depth)
        classes = classes_of(predictor.experiment)
        grid = predictor.grid(*pixels.shape[:2])
        for number, mode in enumerate(modes):
            tiles = _TileReport(report, mode, len(grid.tiles), number, len(modes))
            probability = predictor.probability(pixels, mode, on_batch=tiles.count)
            found = labels_of(probability)
            objects[mode] = count_objects(found, classes)
            masks[mode] = (folder or image.parent) / f"{mode}.png"
            try:
                if len(classes) == 1:
                    write_probability(masks[mode], probability[..., 0])
                else:
                    write_labels(masks[mode], found, probability.shape[2])
            finally:
                settle(masks[mode])  # a visitor may have left meanwhile
    seams = {"rows": list(grid.seam_rows), "columns": list(grid.seam_columns)}
    labels = predictor.experiment.class_names
    return Segmentation(image, masks, objects, seams, predictor.threshold, labels)


class _TileReport:
    """Tells a report how many tiles of an image are done.

    Args:
        report: What is told.
        mode: How the image is being segmented.
        tiles: How many there are.
        number: Of the mode among all, from 0.
        modes: How many there are.
    """

    def __init__(self, report: Report, mode: str, tiles: int, number: int, modes: int) -> None:
        self._report, self._tiles = report, tiles
        self._number, self._modes, self._done = number, modes, 0
        what = f"tile 0 of {tiles}" if mode == "tiled" else "non-tiled"
        report(number / modes, what)

    def count(self, tiles: Sequence[int]) -> None:
        """Some more are done."""
        self._done += len(tiles)
        share = (self._number + self._done / self._tiles) / self._modes
        self._report(share, f"tile {self._done} of {self._tiles}")


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def load_model(uri: str, content: str = "") -> "Predictor":  # noqa: ARG001 - it keys the cache
    """A network, kept in memory for the next image.

    Args:
        uri: The model.
        content: Tells apart what lies at one address at different times: the threshold of a
            checkpoint is chosen after its training.
    """
    _load_tensorflow()
    from tiledseg.tracking.registry import load_predictor  # noqa: PLC0415

    return load_predictor(uri)


@cache
def _load_tensorflow() -> None:
    """Load TensorFlow, and keep its objects out of garbage collection."""
    from tiledseg.backend import load_backend  # noqa: PLC0415

    load_backend()
    gc.collect()
    gc.freeze()


def count_objects(labels: Labels, classes: Sequence[Class]) -> Objects:
    """Count the objects of a label map, each class on its own, as ``tiledseg predict`` does.

    Args:
        labels: (H, W), uint8; 0 is the background.
        classes: What the other labels stand for.
    """
    found = ClassObjects(lambda: iter((labels,)), classes)
    median = float(np.median(found.areas)) if found.count else 0.0
    return Objects(found.count, median, found.area / labels.size)
