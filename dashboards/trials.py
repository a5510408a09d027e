"""Trials of a study as a table, read from MLflow's parent and child runs alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tiledseg.tracking.names import (
    DEFAULT_OBJECTIVE,
    FEASIBLE_TAG,
    OBJECTIVE_TAG,
    OUTCOME_TAG,
    REASON_TAG,
    SETTINGS_TAG,
    TRIAL_TAG,
    has_direction,
    is_maximized,
)
from tiledseg.tracking.queries import RunSummary

_NOT_SEARCHED = ("dataset.", "tracking.", "evaluation.")
STATES = ("complete", "pruned", "running", "failed", "infeasible")
_STATES = {"FINISHED": "complete", "RUNNING": "running", "SCHEDULED": "running"}
_RUN_AGAIN = ("died", "killed", "unavailable", "interrupted")
"""Outcomes that say nothing about the settings: the sweep runs such a trial once more."""
_FIXED = ("number", "name", "state", "score", "seconds", "reason", "run_id")


def table_of(trials: Sequence[RunSummary], objective: str) -> pd.DataFrame:
    """One row per trial, in the order they were numbered.

    Args:
        trials: Runs.
        objective: Name of the metric that is the score.

    Returns:
        Columns ``number``, ``name``, ``state``, ``score``, ``seconds``, ``reason``,
        ``run_id``, then one for each setting that is not the same in all trials: numbers, or
        texts, or None where a trial does not have it.
    """
    ordered = sorted(trials, key=lambda run: (_number(run), run.started))
    settings = [_settings(run) for run in ordered]
    if not all(settings):  # made by a version that did not write them down
        settings = [{name: _value(text) for name, text in run.params.items()} for run in ordered]
    searched = _list_varied(settings)
    rows = [
        {
            "number": _number(run) if TRIAL_TAG in run.tags else place,
            "name": run.name,
            "state": state_of(run),
            "score": score_of(run, objective),
            "seconds": run.seconds,
            "reason": run.tags.get(REASON_TAG, run.error),
            "run_id": run.run_id,
            **{name: own.get(name) for name in searched},
        }
        for place, (run, own) in enumerate(zip(ordered, settings, strict=True))
    ]
    return pd.DataFrame(rows, columns=[*_FIXED, *searched])


def score_of(run: RunSummary, objective: str) -> float:
    """What a trial came to; not a number where it has no such metric.

    Of a metric of epochs the study took the best epoch's value, and a run has the last one's.
    """
    values = _describe(run, OBJECTIVE_TAG)
    return float(values.get(objective, run.metrics.get(objective, np.nan)))


def competing(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that can be compared: of complete trials with a score."""
    return table[table["state"] == "complete"].dropna(subset=["score"])


def settings_in(table: pd.DataFrame) -> list[str]:
    """The columns of a table that are settings."""
    return [str(name) for name in table.columns[len(_FIXED) :]]


def list_searched_keys(trials: Sequence[RunSummary]) -> list[str]:
    """Keys of experiments with more than one value among the trials."""
    return _list_varied([run.params for run in trials])


def objectives_of(trials: Sequence[RunSummary]) -> list[str]:
    """Metrics that a study may have been after, the usual one first."""
    names = {name for run in trials for name in run.metrics}
    names = {name for name in names if not name.startswith("test/") and has_direction(name)}
    return sorted(names, key=lambda name: (name != DEFAULT_OBJECTIVE, "/" not in name, name))


def state_of(run: RunSummary) -> str:
    """One of ``STATES``; a complete trial that exceeds a limit is infeasible."""
    outcome = run.tags.get(OUTCOME_TAG, "")
    if run.status == "RUNNING":
        return "running"
    if outcome in {"pruned", "infeasible"}:
        return outcome
    if run.status == "FINISHED" and run.tags.get(FEASIBLE_TAG) == "false":
        return "infeasible"
    return _STATES.get(run.status, "failed")


def has_ended(run: RunSummary) -> bool:
    """Whether a trial has ended for good, and is not one that is run again."""
    return state_of(run) != "running" and run.tags.get(OUTCOME_TAG, "") not in _RUN_AGAIN


def importance(table: pd.DataFrame) -> pd.DataFrame:
    """How much of the objective's variance each setting explains on its own.

    A setting with few values is a group mean for each value; one with many is a parabola, over
    its logarithm where it spans more than a factor of ten. The share is the coefficient of
    determination, adjusted for the number of parameters (Wherry, 1931), so that chance does not
    look like importance; never below 0. Interactions are not seen.

    Returns:
        Columns ``setting`` and ``share``, the largest first; empty with fewer than 4 trials
        that compete.
    """
    done = competing(table)
    names = settings_in(table)
    if len(done) < 4:
        return pd.DataFrame(columns=["setting", "share"])
    score = done["score"].to_numpy(float)
    shares = [_share(done[name], score) for name in names]
    found = pd.DataFrame({"setting": names, "share": shares})
    return found.sort_values("share", ascending=False, ignore_index=True)


def pareto_front(table: pd.DataFrame, first: str, second: str) -> pd.Series:
    """Which trials no other trial beats in one metric without losing in the other.

    Args:
        table: One row per trial, with both metrics.
        first: A column.
        second: Another one. The names say which direction is better.
    """
    values = np.stack(
        [
            table[name].to_numpy(float) * (-1 if is_maximized(name) else 1)
            for name in (first, second)
        ],
        axis=1,
    )
    beaten = [
        bool(((values <= row).all(axis=1) & (values < row).any(axis=1)).any()) for row in values
    ]
    return ~pd.Series(beaten, index=table.index, dtype=bool)


def _share(column: pd.Series, score: np.ndarray) -> float:
    numbers = pd.to_numeric(column, errors="coerce")
    few = column.nunique() <= max(2, min(5, len(column) // 3))
    if few or numbers.isna().any():
        codes = column.astype(str).astype("category").cat.codes.to_numpy()
        design = np.eye(codes.max() + 1)[codes]
    else:
        x = numbers.to_numpy(float)
        if x.min() > 0 and x.max() / x.min() > 10:
            x = np.log(x)
        spread = x.std() or 1.0
        design = np.vander((x - x.mean()) / spread, 3)
    total = float(((score - score.mean()) ** 2).sum())
    freedom = len(score) - np.linalg.matrix_rank(design)
    if total == 0 or freedom <= 0:
        return 0.0
    weights = np.linalg.lstsq(design, score, rcond=None)[0]
    left = float(((score - design @ weights) ** 2).sum())
    return float(max(0.0, 1.0 - (left / freedom) / (total / (len(score) - 1))))


def _number(run: RunSummary) -> int:
    text = run.tags.get(TRIAL_TAG, "")
    return int(text) if text.isdecimal() else 10**9


def _settings(run: RunSummary) -> dict[str, float | str]:
    """What the space gave a trial; empty where its run does not tell."""
    return {
        name: float(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else ("none" if value is None else str(value))
        for name, value in _describe(run, SETTINGS_TAG).items()
    }


def _describe(run: RunSummary, tag: str) -> dict[str, Any]:
    """A tag that holds a JSON object; empty where it is not there, or somebody has changed it."""
    try:
        found = json.loads(run.tags.get(tag, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _list_varied(settings: Sequence[Mapping[str, object]]) -> list[str]:
    """Names with more than one value, but those that no space searches."""
    names = sorted({name for own in settings for name in own})
    values = {name: {own[name] for own in settings if name in own} for name in names}
    return [name for name in names if len(values[name]) > 1 and not name.startswith(_NOT_SEARCHED)]


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
