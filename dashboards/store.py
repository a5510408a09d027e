"""What pages read from the store, cached for a few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards.pictures import Size, size_of
from dashboards.run_table import FRESH, OPEN, run_table
from tiledseg.config.format_version import require_format
from tiledseg.config.regular_files import read_json
from tiledseg.errors import TiledsegError
from tiledseg.images.hashing import FileState, read_state
from tiledseg.tracking import queries
from tiledseg.tracking.checkpoint_summaries import CheckpointSummary, read_checkpoints
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import (
    FORMAT_TAG,
    IMAGE_LAYER,
    MODES,
    SCORES_FILE,
    TARGET_LAYER,
    grid_file,
    predictions_folder,
)
from tiledseg.tracking.queries import RunSummary, VersionSummary

VERSIONS_FRESH = 15.0
"""Seconds for which the list of model versions is good; a promotion here is seen at once."""
MOST_OPEN = 50
"""Of runs that go on, those that are shown."""
LAYERS = (IMAGE_LAYER, TARGET_LAYER, *MODES)
CURVES = ("loss", "val_loss", "dice", "val_dice", "dice_coef", "val_dice_coef", "learning_rate")


def latest_runs(limit: int) -> list[RunSummary]:
    """The newest runs but launchers, without waiting until all are read."""
    known = run_table().peek()
    newest = queries.read_runs(limit=2 * limit) if known is None else known
    return [run for run in newest if run.kind != "launcher"][:limit]


def running_runs() -> list[RunSummary]:
    """Runs that are open now, but launchers."""
    known = run_table().peek()
    if known is None:
        found = queries.read_runs(condition=OPEN, limit=MOST_OPEN)
    else:
        found = [run for run in known if run.status == "RUNNING"][:MOST_OPEN]
    return [run for run in found if run.kind != "launcher"]


def one_run(run_id: str) -> RunSummary:
    """One run; the store is asked only for what may have changed.

    Raises:
        TrackingError: There is none of that id, or the store does not answer.
    """
    return run_table().find_ended(run_id) or _read_run(run_id)


@st.cache_data(ttl=FRESH, max_entries=64, show_spinner=False)
def _read_run(run_id: str) -> RunSummary:
    return queries.read_run(run_id)


@st.cache_data(ttl=VERSIONS_FRESH, max_entries=8, show_spinner=False)
def versions() -> list[VersionSummary]:
    """All model versions, the newest first."""
    return queries.read_versions()


@st.cache_data(ttl=FRESH, max_entries=64, show_spinner=False)
def checkpoints_of(run_id: str) -> list[CheckpointSummary]:
    """The checkpoints that a run keeps in the store, the last epoch first."""
    return read_checkpoints(run_id)


@st.cache_resource(max_entries=256, show_spinner=False)
def files_of(run_id: str) -> RunFiles:
    """The files of a run.

    Raises:
        FormatError: Another version of tiledseg made the run, in another format.
    """
    run = one_run(run_id)
    require_format(run.tags.get(FORMAT_TAG), f"run {run_id}")
    return RunFiles(run_id, run.files)


@st.cache_data(ttl=FRESH, max_entries=128, show_spinner=False)
def curves_of(run_id: str, names: tuple[str, ...]) -> pd.DataFrame:
    """Metrics of a run over its epochs."""
    return queries.read_curves(run_id, names)


@st.cache_data(ttl=60, max_entries=128, show_spinner=False)
def scores_of(run_id: str) -> pd.DataFrame:
    """One row per image and mode; empty where the run has no scores."""
    files = files_of(run_id)
    if not files.has(SCORES_FILE):
        return pd.DataFrame(columns=["split", "image", "mode", "dice", "iou"])
    return pd.read_csv(files.path(SCORES_FILE), dtype={"image": str, "split": str})


def classes_of(run_id: str) -> list[str]:
    """Names of a run's labels from 0, the background; empty where it has one class."""
    start = "dice/"
    columns = map(str, scores_of(run_id))
    return [name.removeprefix(start) for name in columns if name.startswith(start)]


@dataclass(frozen=True)
class Predictions:
    """The pictures of one split of a run: stem to name, for each layer."""

    files: RunFiles
    split: str
    names: dict[str, dict[str, str]]

    @property
    def stems(self) -> list[str]:
        """Images that were predicted."""
        return sorted(self.names["tiled"] or self.names["resized"])

    def path(self, layer: str, stem: str) -> Path | None:
        """The file of an image's layer, or None where the run does not keep it."""
        name = self.names[layer].get(stem)
        if name is None:
            return None
        return self.files.path(f"{predictions_folder(self.split, layer)}/{name}")


@st.cache_resource(ttl=60, max_entries=256, show_spinner=False)  # shared: nobody changes it
def predictions_of(run_id: str, split: str) -> Predictions:
    """What a run predicted for a split."""
    files = files_of(run_id)
    names = {
        layer: {Path(name).stem: name for name in files.names(predictions_folder(split, layer))}
        for layer in LAYERS
    }
    return Predictions(files, split, names)


@st.cache_data(max_entries=4096, show_spinner=False)
def _size(path: str, _state: FileState) -> Size:
    return size_of(Path(path))


def picture_size(path: Path) -> Size:
    """Height and width of a picture.

    Raises:
        ImageError: It cannot be read.
    """
    return _size(str(path), read_state(path))


def datasets(runs: Sequence[RunSummary]) -> list[str]:
    """Names of datasets that were trained or evaluated on, the latest first."""
    return list(dict.fromkeys(run.dataset for run in runs if run.kind not in {"", "launcher"}))


def versions_if_any() -> list[VersionSummary]:
    """All versions, or none where the store has no registry."""
    try:
        return versions()
    except TiledsegError:
        return []


@st.cache_data(ttl=60, max_entries=512, show_spinner=False)
def seams_of(run_id: str, split: str, stem: str) -> dict[str, list[int]] | None:
    """Rows and columns at which tiles met, or None where the run did not write them down."""
    files = files_of(run_id)
    name = grid_file(split, stem)
    if not files.has(name):
        return None
    try:
        found = read_json(files.path(name))
        return {axis: [int(at) for at in found[axis]] for axis in ("rows", "columns")}
    except (OSError, ValueError, KeyError, TypeError):  # damaged: the picture is shown without
        return None
