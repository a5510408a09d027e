"""Segmenting an uploaded image; Keras is imported by the first call, not before."""

import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboards.masks import mask_levels
from dashboards.pyramids import CUT
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_labels, write_probability
from tiledseg.masks.classes import labels_of
from tiledseg.masks.instances import label_instances

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Mode, Predictor

MOST_MODELS = 2
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Objects:
    """What a mask holds."""

    count: int
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
    pixels = read_image(image)
    masks: dict[str, Path] = {}
    objects: dict[str, Objects] = {}
    with _one_at_a_time:
        predictor = load_model(uri)
        grid = predictor.grid(*pixels.shape[:2])
        for mode in modes:
            path = image.with_name(f"{mode}.png")
            probability = predictor.probability(pixels, mode)
            if probability.shape[2] == 1:
                write_probability(path, probability[..., 0])
            else:
                write_labels(path, labels_of(probability), probability.shape[2])
            masks[mode] = path
    for name, path in masks.items():
        objects[name] = count_objects(mask_levels(path) >= CUT)
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
    """Looking for garbage need not go through TensorFlow, ever."""
    from tiledseg.backend import load_backend  # noqa: PLC0415

    load_backend()
    gc.collect()
    gc.freeze()


def count_objects(mask: NDArray[np.bool_]) -> Objects:
    """Connected foreground, 8 neighbors.

    Args:
        mask: (H, W).
    """
    areas = np.bincount(label_instances(mask).ravel())[1:]
    median = float(np.median(areas)) if len(areas) else 0.0
    return Objects(len(areas), median, float(mask.mean()))
