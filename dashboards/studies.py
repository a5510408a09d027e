"""What a study wrote into its run when its last sitting ended: it alone knows limits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import store

TRIALS, BEST, FINALS = "trials.csv", "best.yaml", "finals.csv"
_COLUMNS = ("run_id", "best", "feasible")


@dataclass(frozen=True)
class StudyEnd:
    """A study's own account of its trials; empty before its first sitting has ended."""

    trials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """For each trial that counts, by its run: a row with a column for each objective."""
    experiment: str = ""
    """YAML of the best experiment at full budget."""
    finals: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Trials that were trained in full: columns ``number`` and ``score`` among others."""

    def knows(self, run_id: str) -> bool:
        """Whether a trial's run is in the account."""
        return run_id in self.trials

    def is_feasible(self, run_id: str) -> bool:
        """Whether a trial keeps the limits of the space, as far as is known."""
        return bool(self.trials.get(run_id, {}).get("feasible", True))

    def value(self, run_id: str, objective: str) -> float | None:
        """What the study took for an objective of a trial; None where it does not say."""
        value = self.trials.get(run_id, {}).get(objective)
        return None if value is None or math.isnan(value) else float(value)

    @property
    def best(self) -> str:
        """The run of the best trial, whose settings ``experiment`` has; empty if there is none."""
        return next((run_id for run_id, row in self.trials.items() if row["best"] is True), "")


@st.cache_data(ttl=store.FRESH, max_entries=16, show_spinner=False)
def end_of(run_id: str) -> StudyEnd:
    """The account of a study by its run.

    Raises:
        TrackingError: The store does not answer.
    """
    files = store.files_of(run_id)
    names = set(files.names(""))
    if TRIALS not in names:
        return StudyEnd()
    trials = _table(files.path(TRIALS))
    if not set(_COLUMNS) <= set(trials):
        return StudyEnd()
    rows = [
        {str(name): value for name, value in row.items()}
        for row in trials.dropna(subset=["run_id"]).to_dict("records")
    ]
    return StudyEnd(
        trials={str(row["run_id"]): row for row in rows},
        experiment=files.path(BEST).read_text(encoding="utf-8") if BEST in names else "",
        finals=_table(files.path(FINALS)) if FINALS in names else pd.DataFrame(),
    )


def _table(path: Path) -> pd.DataFrame:
    """A table; empty where it has no rows, or is being written."""
    try:
        return pd.read_csv(path, dtype={"run_id": str})
    except ValueError:
        return pd.DataFrame()
