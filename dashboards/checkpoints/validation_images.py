"""The validation images of a run: its own copies, or the dataset on this machine."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards import store
from dashboards.masks import read_labels
from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.data.dataset import data_root, find_sample
from tiledseg.data.mask_encoding import digest_pair
from tiledseg.errors import DatasetError
from tiledseg.images.label_files import read_label_map
from tiledseg.masks.classes import Labels
from tiledseg.tracking.names import DATA_FILE, EXPERIMENT_FILE

SPLIT = "valid"
Digests = tuple[str, str]
"""Of an image, and of its mask as it is read."""


@dataclass(frozen=True)
class ValidationImage:
    """An image of a run, and its target.

    Attributes:
        stem: Its name.
        image: Its file.
        mask: File of the target.
        is_kept: Whether these are copies that the run keeps, and not files of the dataset.
        threshold: Of the dataset's masks: foreground is brighter; None where they hold labels.
    """

    stem: str
    image: Path
    mask: Path
    is_kept: bool
    threshold: int | None = None

    def read_target(self) -> Labels:
        """The target, (H, W), uint8.

        Raises:
            ImageError: Its file cannot be read.
        """
        if self.is_kept:
            return read_labels(self.mask)
        return read_label_map(self.mask, self.threshold)


@st.cache_data(ttl=60, max_entries=128, show_spinner=False)
def digests_of(run_id: str) -> dict[str, Digests]:
    """Digests of a run's validation images and their masks, by stem.

    Empty where the run ended before it had written them down. Two runs with the same digests were
    scored on the same data.
    """
    files = store.files_of(run_id)
    if not files.has(DATA_FILE):
        return {}
    table = pd.read_csv(files.path(DATA_FILE), dtype=str, keep_default_na=False)
    rows = table[table["split"] == SPLIT]
    pairs = zip(rows["image"], rows["mask"], strict=True)
    return dict(sorted(zip(rows["stem"], pairs, strict=True)))


def experiment_of(run_id: str) -> Experiment:
    """The settings of a run; read without importing Keras."""
    path = store.files_of(run_id).path(EXPERIMENT_FILE)
    return parse_experiment(path.read_text(encoding="utf-8"), f"run {run_id}")


@st.cache_data(ttl=60, max_entries=1024, show_spinner=False)
def find_image(run_id: str, stem: str) -> ValidationImage:
    """Where a validation image of a run is.

    Raises:
        DatasetError: It is not at hand on this machine.
        TrackingError: The store does not answer.
    """
    kept = store.predictions_of(run_id, SPLIT)
    image, target = kept.path("image", stem), kept.path("target", stem)
    if image is not None and target is not None:
        return ValidationImage(stem, image, target, is_kept=True)
    try:
        return _find_in_dataset(run_id, stem)
    except DatasetError as error:
        raise DatasetError(
            "the validation images of this run are not at hand on this machine: the run keeps no "
            "copies of them (they are made when it ends, unless tracking.log_images is false), and "
            f"{error}"
        ) from error


def _find_in_dataset(run_id: str, stem: str) -> ValidationImage:
    settings = experiment_of(run_id).dataset
    sample = find_sample(settings, data_root(), SPLIT, stem)
    if digest_pair(sample, settings) != digests_of(run_id).get(stem):
        raise DatasetError(
            f"{sample.image} or its mask is not what the run was validated on; put that one back, "
            "or point TILEDSEG_DATA to the data of the run"
        )
    return ValidationImage(
        stem, sample.image, sample.mask, is_kept=False, threshold=settings.foreground_threshold
    )
