"""Closes a study: the best experiment, the table of trials, importance, pictures."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pandas as pd

from tiledseg.config.experiment import Experiment
from tiledseg.config.strict_yaml import to_yaml
from tiledseg.data.scratch import open_scratch
from tiledseg.errors import OutputError
from tiledseg.tracking.names import (
    BEST_FILE,
    BEST_TAG,
    IMPORTANCE_FILE,
    PLOTS_FOLDER,
    TRIALS_FILE,
)
from tiledseg.tracking.sweeps import StudyRun
from tiledseg.tuning.results.candidates import Candidate, make_full_experiment, rank_trials
from tiledseg.tuning.results.export import export_experiment
from tiledseg.tuning.results.importance import measure_importance
from tiledseg.tuning.results.progress import StudyProgress, TrialRow
from tiledseg.tuning.study.definition import StudyDefinition

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyResult:
    """The study at the end of a sweep."""

    study: str
    run_id: str
    """The study's MLflow run."""
    progress: StudyProgress
    """All trials."""
    objectives: tuple[str, ...]
    best: TrialRow | None
    """The best trial; of several objectives, that of the front which is best in the first."""
    experiment: Experiment | None
    """Its settings at full budget."""
    file: Path | None
    """Where they were written; None where that was not possible."""
    ranking: tuple[Candidate, ...] = ()
    """Complete trials, the best first."""
    storage: str = field(default="", repr=False)
    """Address of the study's storage, its password included."""
    write_error: str = ""
    """Why there is no file, though there is an experiment."""


def close_study(
    study: optuna.Study,
    definition: StudyDefinition,
    progress: StudyProgress,
    run: StudyRun,
    folder: Path,
) -> StudyResult:
    """Write the best experiment, and log it, tables and pictures in the study's run.

    Args:
        study: The study.
        definition: What it is about.
        progress: All its trials.
        run: Its MLflow run.
        folder: Where experiments lie.
    """
    names = tuple(objective.metric for objective in definition.objectives)
    best = progress.best[0] if progress.best else None
    experiment = make_full_experiment(definition, best) if best else None
    importance = measure_importance(study, names)
    tables = {TRIALS_FILE: make_trial_table(progress, names), IMPORTANCE_FILE: importance}
    run.log_texts({name: table.to_csv(index=False) for name, table in tables.items()})
    run.log_metrics(_summarize(progress, names))
    if best is not None and experiment is not None:
        run.log_texts({BEST_FILE: to_yaml(experiment.compact())})
        run.log_tags({BEST_TAG: best.run_id})
    with open_scratch("plots") as place:
        draw_plots(study, names, importance, place)
        run.log_folder(place, PLOTS_FOLDER)
    file, write_error = None, ""
    if best is not None and experiment is not None:
        try:
            file = export_experiment(experiment, folder, _make_note(study.study_name, best, names))
        except OutputError as error:  # a night of trials has not failed for that
            write_error = str(error)
    return StudyResult(
        study=study.study_name,
        run_id=run.run_id,
        progress=progress,
        objectives=names,
        best=best,
        experiment=experiment,
        file=file,
        ranking=rank_trials(definition, progress),
        write_error=write_error,
    )


def draw_plots(
    study: optuna.Study, names: tuple[str, ...], importance: pd.DataFrame, folder: Path
) -> None:
    """See ``draw_study``, which loads Matplotlib; a sweep that begins has no need of it."""
    from tiledseg.tuning.results.plots import draw_study  # noqa: PLC0415

    draw_study(study, names, importance, folder)


def make_trial_table(progress: StudyProgress, names: tuple[str, ...]) -> pd.DataFrame:
    """One row per trial: how it ended, what it scored, with which settings."""
    rows = []
    for row in progress.rows:
        values = dict(zip(names, row.values, strict=False)) if row.state == "complete" else {}
        rows.append(
            {
                "trial": row.number,
                "state": row.state,
                "origin": row.origin,
                "best": row.is_best,
                "feasible": row.is_feasible,
                **values,
                "epochs": row.epochs,
                "seconds": None if row.seconds is None else round(row.seconds, 1),
                **row.params,
                **row.metrics,
                "reason": row.reason,
                "run_id": row.run_id,
            }
        )
    return pd.DataFrame(rows)


def _summarize(progress: StudyProgress, names: tuple[str, ...]) -> dict[str, float]:
    states = [row.state for row in progress.rows]
    figures: dict[str, float] = {f"trials/{state}": states.count(state) for state in set(states)}
    figures["trials/finished"] = progress.finished_count
    figures["epochs"] = sum(row.epochs for row in progress.rows)
    leaders = {"best": next(iter(progress.best), None), "first": progress.own_trial}
    for prefix, row in leaders.items():
        if row is not None:
            figures.update(
                {f"{prefix}/{name}": value for name, value in zip(names, row.values, strict=True)}
            )
    return figures


def _make_note(study: str, best: TrialRow, names: tuple[str, ...]) -> str:
    scores = ", ".join(
        f"{name} {value:.4f}" for name, value in zip(names, best.values, strict=True)
    )
    return (
        f"Found by study {study}: trial {best.number}, {scores} at the budget of a trial.\n"
        "Train it in full with `tiledseg train --experiment` and this file."
    )
