"""The results that a study wrote into its run when its last session ended."""

from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from dashboards import store
from dashboards.run_table import FRESH
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import BEST_FILE, IMPORTANCE_FILE, RETRAINING_FILE


@dataclass(frozen=True)
class StudyFiles:
    """The files of a study; empty before its first session has ended."""

    experiment: str = ""
    """YAML of the best experiment at full budget."""
    importance: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Columns ``objective``, ``setting`` and ``share``, the largest first."""
    retrained: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Trials that were trained in full: columns ``number`` and ``score`` among others."""

    def importance_for(self, objective: str) -> pd.DataFrame:
        """The rows of one objective; empty where the study did not measure any for it."""
        if self.importance.empty:
            return self.importance
        return self.importance[self.importance["objective"] == objective]


@st.cache_data(ttl=FRESH, max_entries=16, show_spinner=False)
def read_study_files(run_id: str) -> StudyFiles:
    """The files of a study by its run.

    Raises:
        TrackingError: The store does not answer.
    """
    files = store.files_of(run_id)
    names = set(files.names(""))
    return StudyFiles(
        experiment=files.path(BEST_FILE).read_text(encoding="utf-8") if BEST_FILE in names else "",
        importance=_read_table(files, IMPORTANCE_FILE, names),
        retrained=_read_table(files, RETRAINING_FILE, names),
    )


def _read_table(files: RunFiles, name: str, names: set[str]) -> pd.DataFrame:
    """A table; empty where there is none, it has no rows, or is being written."""
    if name not in names:
        return pd.DataFrame()
    try:
        return pd.read_csv(files.path(name))
    except ValueError:
        return pd.DataFrame()
