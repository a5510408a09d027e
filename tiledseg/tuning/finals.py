"""The last round: a few settings trained in full, since what learns fast need not learn best."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from tiledseg.experiment import Experiment
from tiledseg.tracking.store import connect
from tiledseg.tracking.sweeps import StudyRun
from tiledseg.tuning.definition import StudyDefinition
from tiledseg.tuning.export import found_experiment
from tiledseg.tuning.ledger import EXPERIMENT
from tiledseg.tuning.progress import StudyProgress, TrialRow

FILE = "finals.csv"
"""In the study's run: trial, its value at the budget of a trial and in full, and the run."""


@dataclass(frozen=True)
class Finalist:
    """A complete trial, and what it comes to at full budget."""

    number: int
    value: float
    """Of the first objective, at the budget of a trial."""
    is_own: bool
    """Whether these are the experiment's own settings."""
    experiment: Experiment


@dataclass(frozen=True)
class Final:
    """A finalist that was trained in full."""

    number: int
    value: float
    score: float
    """``valid/tiled/dice``."""
    run_id: str


def ranked_trials(definition: StudyDefinition, progress: StudyProgress) -> tuple[Finalist, ...]:
    """Complete and feasible trials, the best in the first objective first."""
    sign = -1.0 if definition.objectives[0].direction == "maximize" else 1.0
    rows = [row for row in progress.rows if row.state == "complete" and row.is_feasible]
    rows.sort(key=lambda row: (sign * row.values[0], row.number))
    return tuple(
        Finalist(row.number, row.values[0], _is_own(row), full_experiment(definition, row))
        for row in rows
    )


def full_experiment(definition: StudyDefinition, row: TrialRow) -> Experiment:
    """The settings of a trial at full budget."""
    return found_experiment(definition, {} if _is_own(row) else row.params)


def choose_finalists(ranking: Sequence[Finalist], count: int) -> list[Finalist]:
    """The best few; the experiment's own settings are among them where there are several."""
    chosen = list(ranking[:count])
    own = [finalist for finalist in ranking if finalist.is_own]
    if count > 1 and own and own[0] not in chosen:
        chosen[-1] = own[0]
    return chosen


def play_finals(
    finalists: Sequence[Finalist], run_id: str, train: Callable[[Finalist], tuple[str, float]]
) -> list[Final]:
    """Train finalists in full, one after the other; those of an earlier sitting are not repeated.

    Args:
        finalists: Who takes part.
        run_id: The study's MLflow run, which keeps the table.
        train: Trains one; returns its run and its ``valid/tiled/dice``.

    Returns:
        The finals, the best first.

    Raises:
        TrackingError: The store does not answer.
    """
    run = StudyRun(connect(), run_id)
    done = _recorded(run)
    for finalist in finalists:
        if finalist.number not in done:
            trained, score = train(finalist)
            done[finalist.number] = Final(finalist.number, finalist.value, score, trained)
            table = pd.DataFrame([vars(final) for final in done.values()])
            run.log_texts({FILE: table.to_csv(index=False)})
    taking_part = [done[finalist.number] for finalist in finalists]
    return sorted(taking_part, key=lambda final: (-final.score, final.number))


def _recorded(run: StudyRun) -> dict[int, Final]:
    text = run.read_text(FILE)
    if text is None:
        return {}
    table = pd.read_csv(io.StringIO(text), dtype={"run_id": str})
    return {
        int(row["number"]): Final(
            int(row["number"]), float(row["value"]), float(row["score"]), row["run_id"]
        )
        for row in table.to_dict("records")
    }


def _is_own(row: TrialRow) -> bool:
    return row.origin == EXPERIMENT
