"""How far a study is, as people look at it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tiledseg.tuning.execution import retries


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
    """Seconds that are left, as far as can be told."""

    @property
    def finished(self) -> int:
        """Trials that have ended."""
        return sum(row.state not in ("running", "waiting") for row in self.rows)

    @property
    def best(self) -> list[TrialRow]:
        """The best trial, or with several objectives the Pareto front."""
        return [row for row in self.rows if row.is_best]

    @property
    def first(self) -> TrialRow | None:
        """The trial of the experiment's own settings, once it is complete."""
        own = [row for row in self.rows if row.origin == retries.EXPERIMENT]
        return next((row for row in own if row.state == "complete"), None)


@dataclass(frozen=True)
class Session:
    """When this session began, what it should reach, and how many work on this machine."""

    began: float
    """Seconds since 1970."""
    wanted: int | None
    deadline: float | None
    workers: int


def read_progress(study: optuna.Study, session: Session) -> StudyProgress:
    """The study now."""
    trials = retries.list_counted(study.get_trials(deepcopy=False))
    best = {trial.number for trial in best_trials(study, trials)}
    sign = report_sign(study)
    rows = tuple(_row(trial, sign, is_best=trial.number in best) for trial in trials)
    now = time.time()
    return StudyProgress(
        rows=rows,
        wanted=session.wanted,
        elapsed=now - session.began,
        remaining=_remaining(rows, session, now),
    )


def report_sign(study: optuna.Study) -> float:
    """Factor of ``PRUNED_ON`` as it is reported: pruners compare in the objective's direction."""
    return 1.0 if study.directions[0] == StudyDirection.MAXIMIZE else -1.0


def best_trials(study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Complete and feasible trials that no other one beats.

    One objective: the best, the earliest of equals. Several: the Pareto front, best in the
    first objective first.
    """
    signs = [-1.0 if d.name == "MAXIMIZE" else 1.0 for d in study.directions]
    scored = [
        (tuple(sign * value for sign, value in zip(signs, trial.values, strict=True)), trial)
        for trial in trials
        if trial.state == TrialState.COMPLETE and is_feasible(trial)
    ]
    scored.sort(key=lambda item: (item[0], item[1].number))
    if len(signs) == 1:
        return [trial for _, trial in scored[:1]]
    return [
        trial
        for losses, trial in scored
        if not any(_dominates(other, losses) for other, _ in scored)
    ]


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether it keeps all limits of the space."""
    return all(value <= 0.0 for value in trial.constraints.values())


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))


def _row(trial: FrozenTrial, sign: float, *, is_best: bool) -> TrialRow:
    attributes = trial.user_attrs
    last = trial.last_step
    values = tuple(trial.values or ())
    if last is not None and trial.state != TrialState.COMPLETE:
        values = (sign * trial.intermediate_values[last],)
    return TrialRow(
        number=trial.number,
        state="waiting" if retries.is_due_again(trial) else retries.outcome_of(trial),
        values=values,
        epochs=int(attributes.get(retries.EPOCHS, last or 0)),
        seconds=_seconds(trial),
        params=trial.params,
        origin=str(attributes.get(retries.ORIGIN, "")),
        reason=retries.reason_of(trial),
        run_id=str(attributes.get(retries.RUN_ID, "")),
        metrics=attributes.get("metrics", {}),
        is_feasible=is_feasible(trial),
        is_best=is_best,
    )


def _seconds(trial: FrozenTrial) -> float | None:
    if trial.datetime_start is None:
        return None
    return ((trial.datetime_complete or datetime.now()) - trial.datetime_start).total_seconds()


def _remaining(rows: Sequence[TrialRow], session: Session, now: float) -> float | None:
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
