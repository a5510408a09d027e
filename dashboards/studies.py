"""The results that a study wrote into its run when its last session ended."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards import store
from dashboards.run_table import FRESH
from tiledseg.tracking.names import BEST_FILE, RETRAINING_FILE


@dataclass(frozen=True)
class Answer:
    """Empty before a study's first session has ended."""

    experiment: str = ""
    """YAML of the best experiment at full budget."""
    retrained: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Trials that were trained in full: columns ``number`` and ``score`` among others."""


@st.cache_data(ttl=FRESH, max_entries=16, show_spinner=False)
def answer_of(run_id: str) -> Answer:
    """The answer of a study by its run.

    Raises:
        TrackingError: The store does not answer.
    """
    files = store.files_of(run_id)
    names = set(files.names(""))
    return Answer(
        experiment=files.path(BEST_FILE).read_text(encoding="utf-8") if BEST_FILE in names else "",
        retrained=_table(files.path(RETRAINING_FILE))
        if RETRAINING_FILE in names
        else pd.DataFrame(),
    )


def _table(path: Path) -> pd.DataFrame:
    """A table; empty where it has no rows, or is being written."""
    try:
        return pd.read_csv(path)
    except ValueError:
        return pd.DataFrame()
