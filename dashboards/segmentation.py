"""Segmenting an uploaded image; the first call imports Keras."""

import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_labels, write_probability
from tiledseg.masks.classes import Labels, labels_of
from tiledseg.prediction.instances import Class, ClassObjects, classes_of

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Mode, Predictor

MOST_MODELS = 2
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


def segment(uri: str, image: Path, modes: Sequence["Mode"]) -> Segmentation:
    """Segment one image; one at a time in this process, so that memory is bounded.

    Args:
        uri: The model, for example ``models:/NAME/3``.
        image: The image; the masks are written beside it.
        modes: ``tiled``, ``resized`` or both.

    Raises:
        TiledsegError: The model or the image cannot be used.
    """
    masks: dict[str, Path] = {}
    objects: dict[str, Objects] = {}
    with _one_at_a_time:
        predictor = load_model(uri)
        pixels = read_image(image, bit_depth=predictor.experiment.image.bit_depth)
        classes = classes_of(predictor.experiment)
        grid = predictor.grid(*pixels.shape[:2])
        for mode in modes:
            probability = predictor.probability(pixels, mode)
            labels = labels_of(probability)
            objects[mode] = count_objects(labels, classes)
            masks[mode] = image.with_name(f"{mode}.png")
            if len(classes) == 1:
                write_probability(masks[mode], probability[..., 0])
            else:
                write_labels(masks[mode], labels, probability.shape[2])
    seams = {"rows": list(grid.seam_rows), "columns": list(grid.seam_columns)}
    return Segmentation(image, masks, objects, seams)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def load_model(uri: str) -> "Predictor":
    """A network, kept in memory for the next image."""
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
