"""Which folder a check is about, and with which settings."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tiledseg.backend import load_backend
from tiledseg.config import DatasetSettings
from tiledseg.config.experiment import (
    Experiment,
    available_experiments,
    load_experiment,
    parse_experiment,
)
from tiledseg.data.dataset import data_root, draw_if_synthetic, require_folder
from tiledseg.errors import TilingError

_NAMELESS = "dataset"
"""Stands for a folder whose name no dataset can have."""


def find_target(
    named: str, given: Experiment | None, overrides: Sequence[str], experiments: Path
) -> tuple[Path, Experiment]:
    """Find the folder of a dataset, and the experiment on it.

    Args:
        named: Name of an experiment or of a folder under the data root, or a folder.
        given: The experiment; where None, that of the name, or else the defaults.
        overrides: ``KEY=VALUE`` texts.
        experiments: The folder of experiments.

    Returns:
        A folder that exists (a synthetic dataset is drawn), and the experiment.

    Raises:
        DatasetError: There is no such folder, or it is unfinished; the message offers near
            names, or the command that goes on.
        ExperimentError: The experiment or an override is unreadable, unknown or impossible.
    """
    root = data_root()
    path = Path(named)
    name = path.resolve().name if path.is_dir() else named
    known = name in available_experiments(experiments)
    if given is not None:
        experiment = given
    elif known:
        experiment = load_experiment(experiments / f"{name}.yaml", overrides)
    else:
        experiment = _default_experiment(name, overrides)
    known_here = known and named == name and (root / name).is_dir()
    if path.is_dir() and not known_here:
        require_folder(path, root)
        return path, experiment
    folder = root / (experiment.dataset.name if given or known else named)
    draw_if_synthetic(experiment.dataset, folder)
    require_folder(folder, root)
    return folder, experiment


def network_halo(experiment: Experiment) -> int | None:
    """Pixels that an output of the experiment's network sees on each side; None: unbounded.

    Builds the network, and so loads Keras.
    """
    load_backend()
    from tiledseg.models import build_model  # noqa: PLC0415  # loads Keras
    from tiledseg.tiling.network.receptive_field import receptive_field  # noqa: PLC0415

    try:
        return receptive_field(build_model(experiment.model, experiment.image.channels)).halo
    except TilingError:
        return None


def resolve_folder(named: str) -> Path:
    """A folder, or that of its name under the data root.

    Raises:
        DatasetError: There is neither, or it is unfinished.
    """
    root = data_root()
    path = Path(named) if Path(named).is_dir() else root / named
    require_folder(path, root)
    return path


def to_dataset_name(name: str) -> str:
    """A folder's name where a dataset can have it, or ``dataset``."""
    try:
        return DatasetSettings(name=name).name
    except ValidationError:
        return _NAMELESS


def _default_experiment(name: str, overrides: Sequence[str]) -> Experiment:
    return parse_experiment(
        f"dataset: {{name: '{to_dataset_name(name)}'}}", f"check {name}", overrides
    )
