"""How far a study is: its trials as rows, the best of them, and the time that is left."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tiledseg.tracking.names import direction_sign
from tiledseg.tuning.execution import retries
from tiledseg.tuning.execution.outcome import is_feasible
from tiledseg.tuning.results.pareto import find_front
from tiledseg.tuning.session import Session
from tiledseg.tuning.study.definition import StudyDefinition


@dataclass(frozen=True)
class TrialRow:
    """One trial that counts."""

    number: int
    state: str
    """running, waiting, complete, pruned, infeasible, or how it failed."""
    values: tuple[float, ...]
    """Of the objectives; of a running or pruned trial ``PRUNED_ON`` as it was last; empty before
    it."""
    epochs: int
    seconds: float | None
    params: Mapping[str, Any]
    origin: str
    """``experiment`` (trial 0), ``source``, or empty."""
    reason: str
    run_id: str
    metrics: Mapping[str, float]
    is_feasible: bool
    is_best: bool


@dataclass(frozen=True)
class StudyProgress:
    """A study at one moment."""

    rows: tuple[TrialRow, ...]
    wanted: int | None
    """Trials asked for; None where only time counts."""
    elapsed: float
    """Seconds of this session."""
    remaining: float | None
    """Seconds that are left; None where that cannot be estimated."""

    @property
    def finished_count(self) -> int:
        """Number of trials that have ended."""
        return sum(row.state not in ("running", "waiting") for row in self.rows)

    @property
    def best(self) -> list[TrialRow]:
        """The best trial, or with several objectives the Pareto front."""
        return [row for row in self.rows if row.is_best]

    @property
    def own_trial(self) -> TrialRow | None:
        """The trial with the experiment's own settings; None before it is complete."""
        own = [row for row in self.rows if row.origin == retries.EXPERIMENT]
        return next((row for row in own if row.state == "complete"), None)


def read_progress(
    study: optuna.Study, definition: StudyDefinition, session: Session
) -> StudyProgress:
    """The study now.

    Args:
        study: The study.
        definition: What it is about.
        session: The one that is going on.
    """
    trials = retries.list_counted(study.get_trials(deepcopy=False))
    metrics = [objective.metric for objective in definition.objectives]
    best = {trial.number for trial in find_best_trials(trials, metrics)}
    rows = tuple(_make_row(trial, metrics[0], is_best=trial.number in best) for trial in trials)
    now = time.time()
    return StudyProgress(
        rows=rows,
        wanted=session.wanted,
        elapsed=now - session.began,
        remaining=_estimate_remaining(rows, session, now),
    )


def find_best_trials(trials: Sequence[FrozenTrial], metrics: Sequence[str]) -> list[FrozenTrial]:
    """Complete and feasible trials that no other one beats.

    Args:
        trials: Those of a study that count.
        metrics: The study's objectives.

    Returns:
        One objective: the best, the earliest of equals. Several: the Pareto front, the best in
        the first objective first.
    """
    signs = [direction_sign(metric) for metric in metrics]

    def rank(trial: FrozenTrial) -> tuple[list[float], int]:
        losses = [-sign * value for sign, value in zip(signs, trial.values, strict=True)]
        return losses, trial.number

    scored = sorted(
        (
            trial
            for trial in trials
            if trial.state == TrialState.COMPLETE and is_feasible(trial.constraints)
        ),
        key=rank,
    )
    if len(metrics) == 1:
        return scored[:1]
    return list(compress(scored, find_front([trial.values for trial in scored], metrics)))


def _make_row(trial: FrozenTrial, objective: str, *, is_best: bool) -> TrialRow:
    attributes = trial.user_attrs
    last = trial.last_step
    values = tuple(trial.values or ())
    if last is not None and trial.state != TrialState.COMPLETE:
        values = (direction_sign(objective) * trial.intermediate_values[last],)
    return TrialRow(
        number=trial.number,
        state="waiting" if retries.is_due_again(trial) else retries.outcome_of(trial),
        values=values,
        epochs=int(attributes.get(retries.EPOCHS, last or 0)),
        seconds=_measure_seconds(trial),
        params=trial.params,
        origin=str(attributes.get(retries.ORIGIN, "")),
        reason=retries.reason_of(trial),
        run_id=str(attributes.get(retries.RUN_ID, "")),
        metrics=attributes.get("metrics", {}),
        is_feasible=is_feasible(trial.constraints),
        is_best=is_best,
    )


def _measure_seconds(trial: FrozenTrial) -> float | None:
    if trial.datetime_start is None:
        return None
    return ((trial.datetime_complete or datetime.now()) - trial.datetime_start).total_seconds()


def _estimate_remaining(rows: Sequence[TrialRow], session: Session, now: float) -> float | None:
    """From the mean duration of finished trials, and what is left of the hours."""
    hours_left = None if session.deadline is None else max(0.0, session.deadline - now)
    took = [row.seconds for row in rows if row.state not in ("running", "waiting") and row.seconds]
    if session.wanted is None or not took:
        return hours_left
    left = session.wanted - len([row for row in rows if row.state not in ("running", "waiting")])
    running = [row.seconds or 0.0 for row in rows if row.state == "running"]
    mean = sum(took) / len(took)
    at_once = max(1, len(running), session.workers)
    pace = max(0.0, left * mean - sum(min(mean, seconds) for seconds in running)) / at_once
    return pace if hours_left is None else min(hours_left, pace)
