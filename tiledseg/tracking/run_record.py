"""What the store holds of a training that ended well: all that is needed to repeat it."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import mlflow
import pandas as pd

from tiledseg.config.experiment import Experiment
from tiledseg.errors import TrackingError
from tiledseg.tracking.names import (
    DATA_FILE,
    DIFF_FILE,
    DIRTY_TAG,
    HISTORY_FILE,
    KIND_TAG,
    RATES_FILE,
    REVISION_TAG,
    VERSIONS_TAG,
)
from tiledseg.tracking.revision import Code
from tiledseg.tracking.runs import read_experiment
from tiledseg.tracking.store import connect, store_errors

_TRAININGS = ("train", "trial")


@dataclass(frozen=True)
class RunRecord:
    """A training that ended well.

    Attributes:
        run_id: Its id.
        experiment: Its settings.
        code: What made it.
        data: Digests of its files, as ``provenance.digest_files`` gives them.
        history: One row per epoch.
        rates: CSV with the learning rate of every step.
        metrics: The last value of each metric.
        tags: Of the run.
    """

    run_id: str
    experiment: Experiment
    code: Code
    data: pd.DataFrame
    history: pd.DataFrame
    rates: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the packages that matter, by name."""
        found: dict[str, str] = json.loads(self.tags.get(VERSIONS_TAG, "{}"))
        return found


def read_record(run_id: str) -> RunRecord:
    """Read a training from the store.

    Raises:
        TrackingError: There is no such run, or it is no training that ended well.
        FormatError: Another version of tiledseg made it, in another format.
    """
    client = connect()
    with store_errors(f"run {run_id}"):
        run = client.get_run(run_id)
        tags = dict(run.data.tags)
        kind = tags.get(KIND_TAG, "")
        if kind not in _TRAININGS or run.info.status != "FINISHED":
            what = f"a run of kind {kind or 'unknown'}, {run.info.status}"
            raise TrackingError(
                f"run {run_id} is {what}; name a training that is FINISHED, as the dashboard and "
                "MLflow list them"
            )
        names = {
            item.path
            for folder in ("", HISTORY_FILE.rpartition("/")[0])
            for item in client.list_artifacts(run_id, folder or None)
        }
        missing = sorted({DATA_FILE, HISTORY_FILE, RATES_FILE} - names)
        if missing:
            raise TrackingError(
                f"run {run_id} has no {' and no '.join(missing)}, by which it could be repeated; "
                "name a training of this version of tiledseg"
            )
        diff = _load_text(run_id, DIFF_FILE) if tags.get(DIRTY_TAG) == "true" else ""
        # Digests, and stems such as 007 or NA, are text.
        data = pd.read_csv(
            io.StringIO(_load_text(run_id, DATA_FILE)), dtype=str, keep_default_na=False
        )
        history = pd.read_csv(io.StringIO(_load_text(run_id, HISTORY_FILE)))
        rates = _load_text(run_id, RATES_FILE)
    return RunRecord(
        run_id=run_id,
        experiment=read_experiment(run_id),
        code=Code(tags.get(REVISION_TAG, ""), diff),
        data=data,
        history=history,
        rates=rates,
        metrics=dict(run.data.metrics),
        tags=tags,
    )


def _load_text(run_id: str, name: str) -> str:
    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{name}"))
