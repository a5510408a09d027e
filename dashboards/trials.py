"""Trials of a study as a table, read from MLflow's parent and child runs alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tiledseg.tracking.names import (
    DEFAULT_OBJECTIVE,
    FEASIBLE_TAG,
    INTERRUPTED,
    OBJECTIVE_TAG,
    OUTCOME_TAG,
    REASON_TAG,
    RETRIED,
    SETTINGS_TAG,
    TRIAL_TAG,
    has_direction,
)
from tiledseg.tracking.queries import RunSummary

_NOT_SEARCHED = ("dataset.", "tracking.", "evaluation.")
STATES = ("complete", "pruned", "running", "failed", "infeasible")
_STATES = {"FINISHED": "complete", "RUNNING": "running", "SCHEDULED": "running"}
_FIXED = ("number", "name", "state", "score", "seconds", "reason", "run_id")


def make_trial_table(trials: Sequence[RunSummary], objective: str) -> pd.DataFrame:
    """One row per trial, in the order they were numbered.

    Args:
        trials: Runs.
        objective: Name of the metric that is the score.

    Returns:
        Columns ``number``, ``name``, ``state``, ``score``, ``seconds``, ``reason``,
        ``run_id``, then one for each setting that is not the same in all trials: numbers, or
        texts, or None where a trial does not have it.
    """
    ordered = sorted(trials, key=lambda run: (_read_number(run), run.started))
    settings = [_read_settings(run) for run in ordered]
    if not all(settings):  # one has not begun, or its tag was changed
        settings = [
            {name: _read_value(text) for name, text in run.params.items()} for run in ordered
        ]
    searched = _list_varying(settings)
    rows = [
        {
            "number": _read_number(run) if TRIAL_TAG in run.tags else place,
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
    """A trial's value of an objective; NaN where it has no such metric.

    Of a metric of epochs the study took the best epoch's value, and a run has the last one's.
    """
    values = _read_tag(run, OBJECTIVE_TAG)
    return float(values.get(objective, run.metrics.get(objective, np.nan)))


def select_complete(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of trials that may win: complete, feasible, and with a score."""
    return table[table["state"] == "complete"].dropna(subset=["score"])


def list_settings(table: pd.DataFrame) -> list[str]:
    """The columns of a table that are settings."""
    return [str(name) for name in table.columns[len(_FIXED) :]]


def list_searched_keys(trials: Sequence[RunSummary]) -> list[str]:
    """Keys of experiments with more than one value among the trials."""
    return _list_varying([run.params for run in trials])


def list_objectives(trials: Sequence[RunSummary]) -> list[str]:
    """Metrics of trials that can be an objective, the usual one first."""
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
    return state_of(run) != "running" and run.tags.get(OUTCOME_TAG, "") not in {
        *RETRIED,
        INTERRUPTED,
    }


def _read_number(run: RunSummary) -> int:
    text = run.tags.get(TRIAL_TAG, "")
    return int(text) if text.isdecimal() else 10**9


def _read_settings(run: RunSummary) -> dict[str, float | str]:
    """A trial's parameters in its space; empty where the run has no such tag."""
    return {
        name: float(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else ("none" if value is None else str(value))
        for name, value in _read_tag(run, SETTINGS_TAG).items()
    }


def _read_tag(run: RunSummary, tag: str) -> dict[str, Any]:
    """A tag that holds a JSON object; empty where it is not there, or somebody has changed it."""
    try:
        found = json.loads(run.tags.get(tag, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _list_varying(settings: Sequence[Mapping[str, object]]) -> list[str]:
    """Names with more than one value, but those that no space searches."""
    names = sorted({name for own in settings for name in own})
    values = {name: {own[name] for own in settings if name in own} for name in names}
    return [name for name in names if len(values[name]) > 1 and not name.startswith(_NOT_SEARCHED)]


def _read_value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
