"""Arguments that commands share: how they name an experiment, its settings and a model."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tiledseg.cli.console import show_line
from tiledseg.config.experiment import (
    Experiment,
    available_experiments,
    find_experiment,
    load_experiment,
    parse_experiment,
)
from tiledseg.errors import ExperimentError
from tiledseg.legacy import SUFFIXES, ImportedConfig, import_config

DatasetName = Annotated[
    str, typer.Option("--dataset", help="Name of a dataset with a YAML in experiments/.")
]
ExperimentFile = Annotated[
    str, typer.Option("--experiment", help="An experiment YAML, or a .config.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated."),
]
ModelUri = Annotated[
    str,
    typer.Option(
        "--model", help="models:/NAME@champion, runs:/ID/model, a folder, or a dataset's name."
    ),
]


_YAML_SUFFIXES = (".yaml", ".yml")
_SHOWN = {
    "ending": "the source program ends: ",
    "unreadable": "unreadable: ",
    "unavailable": "not available: ",
    "different": "different here: ",
}
"""Kinds of notes that are told on the screen; all are in the YAML."""


def experiments_folder() -> Path:
    """./experiments, or that of the source tree which this package lies in."""
    here = Path("experiments")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "experiments"


def choose_experiment(dataset: str, file: str, overrides: list[str] | None) -> Experiment:
    """The experiment of a dataset's name or of a file, YAML or ``.config``, with its overrides.

    Raises:
        ExperimentError: Neither is given, both disagree, or the file cannot be read.
    """
    settings = split_overrides(overrides)
    if not dataset and not file:
        known = ", ".join(available_experiments(experiments_folder()))
        raise ExperimentError(f"name a dataset (--dataset NAME) or a file; known: {known}")
    path = Path(file) if file else find_experiment(dataset, experiments_folder())
    experiment = load_file(path, settings)
    if dataset and experiment.dataset.name != dataset:
        remedy = "give --dataset or --experiment, not both" if file else f"use --experiment {path}"
        raise ExperimentError(
            f"{path}: dataset.name is {experiment.dataset.name!r}, not {dataset!r}; {remedy}"
        )
    return experiment


def load_file(path: Path, settings: Sequence[str] = ()) -> Experiment:
    """The experiment in a file: YAML, or by its suffix a ``.config`` of the source program.

    Raises:
        ExperimentError: The file has another suffix, or it or a setting is unreadable, unknown or
            impossible.
    """
    if path.suffix.lower() in _YAML_SUFFIXES:
        return load_experiment(path, settings)
    if path.suffix.lower() not in SUFFIXES:
        found = f"the suffix {path.suffix}" if path.suffix else "no suffix"
        raise ExperimentError(
            f"{path}: has {found}; an experiment ends in {' or '.join(_YAML_SUFFIXES)}, a "
            f"configuration of the source program in {', '.join(sorted(SUFFIXES))}"
        )
    config = import_config(path)
    experiment = parse_experiment(config.text, str(path), settings)
    show_import(config, str(path))
    return experiment


def typed_command() -> str:
    """The command that is running, as it may be typed again."""
    return shlex.join(["tiledseg", *sys.argv[1:]])


def split_overrides(overrides: list[str] | None) -> list[str]:
    """Settings given one by one or several in one text."""
    return [setting for text in overrides or [] for setting in _split_settings(text)]


def _split_settings(text: str) -> list[str]:
    """``a.b=1 c.d=2`` in one text, as ``mlflow run -P set=...`` passes it, or one setting."""
    try:
        parts = shlex.split(text)
    except ValueError:
        return [text]
    return parts if all(re.match(r"[\w.]+=", part) for part in parts) else [text]


def show_import(config: ImportedConfig, label: str) -> None:
    """Say what became of a configuration's keys, and what no key says."""
    missing, others = config.count("unavailable"), config.count("different")
    show_line(
        f"{label}: {missing} key{'' if missing == 1 else 's'} not available, "
        f"{config.count('unreadable')} unreadable, {config.count('elsewhere')} said elsewhere, "
        f"{config.count('ignored')} without an effect; {others} other "
        f"difference{'' if others == 1 else 's'}"
    )
    for kind, heading in _SHOWN.items():
        for note in config.notes:
            if note.kind == kind:
                entry = note.entry
                place = f"line {entry.line}, {entry.key or entry.text}: " if entry else ""
                show_line(f"  {heading}{place}{note.words}")
