"""Runs of a study: a parent for the study, and a child for every trial."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.tracking.heartbeat import keep_alive
from tiledseg.tracking.names import (
    ERROR_TAG,
    FORMAT_TAG,
    KIND_TAG,
    OUTCOME_TAG,
    PARENT_TAG,
    REASON_TAG,
    STUDY_ID_TAG,
    STUDY_TAG,
    TRIAL_LOG_FILE,
    TRIAL_TAG,
)
from tiledseg.tracking.run_end import RunEnd, report_end
from tiledseg.tracking.run_ids import (
    LAUNCHER_VARIABLE,
    find_experiment_id,
    forget_error,
    make_or_take_run,
    point_launcher_to,
)
from tiledseg.tracking.store import connect, store_errors

logger = logging.getLogger(__name__)

SWEEP = "sweep"
_MOST_CHILDREN = 50_000


@dataclass(frozen=True)
class StudyRun:
    """The parent run of a study."""

    client: mlflow.MlflowClient
    run_id: str

    def log_definition(self, params: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Log what does not change between sessions: parameters, and texts by file name.

        Parameters that are there already stay as they are: MLflow refuses another spelling.
        """
        known = self.client.get_run(self.run_id).data.params
        new = {key: value for key, value in params.items() if key not in known}
        self.client.log_batch(
            self.run_id, params=[Param(key, value[:6000]) for key, value in new.items()]
        )
        self.log_texts(files)

    def log_texts(self, files: Mapping[str, str]) -> None:
        """Log texts by file name; a file of the same name is replaced."""
        for name, text in files.items():
            self.client.log_text(self.run_id, text, name)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set what changes from session to session, by the names in ``tracking.names``."""
        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log figures of the study."""
        self.client.log_batch(
            self.run_id, [Metric(key, value, _now(), step) for key, value in metrics.items()]
        )

    def log_folder(self, folder: Path, name: str) -> None:
        """Log the files of a folder under a name; files of the same name are replaced."""
        self.client.log_artifacts(self.run_id, str(folder), name)


@contextmanager
def open_study_run(dataset: str, study: str, study_id: str) -> Iterator[StudyRun]:
    """Open the parent run of a study, or open it again, and close it whatever happens.

    It ends FINISHED, FAILED when an error left the block, or KILLED when the user or the
    system ended the program. To be entered under the study's lock, lest there be two.

    Args:
        dataset: Name of the MLflow experiment.
        study: Name of the study, and of the run.
        study_id: Tells this study from others of its name.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    with store_errors():
        run_id = _find_or_make_parent(client, dataset, study, study_id)
        client.update_run(run_id, status="RUNNING")
        forget_error(client, run_id)

    def close(end: RunEnd) -> None:
        if end.error:
            with suppress(MlflowException, SQLAlchemyError):
                client.set_tag(run_id, ERROR_TAG, end.error[:5000])
        client.set_terminated(run_id, end.status)

    with report_end(close), keep_alive(client, run_id):
        yield StudyRun(client, run_id)


def start_trial_run(parent_id: str, number: int, tags: Mapping[str, str]) -> str:
    """Make the child run of a trial; returns its id.

    Args:
        parent_id: The study's run.
        number: The trial's number.
        tags: What else is known about the trial, by the names in ``tracking.names``.

    Raises:
        TrackingError: The store cannot be used.
    """
    with store_errors(f"run {parent_id}"):
        client = mlflow.MlflowClient()
        parent = client.get_run(parent_id)
        run = client.create_run(
            parent.info.experiment_id,
            run_name=f"{parent.info.run_name} {number:03d}",
            tags={
                PARENT_TAG: parent_id,
                FORMAT_TAG: str(FORMAT_VERSION),
                KIND_TAG: "trial",
                STUDY_TAG: parent.data.tags[STUDY_TAG],
                TRIAL_TAG: str(number),
                **tags,
            },
        )
    return str(run.info.run_id)


def tracking_uri() -> str:
    """The store in use."""
    return str(mlflow.get_tracking_uri())


def environment_for(run_id: str | None) -> dict[str, str | None]:
    """Variables that make another process use this store, and ``train`` in it fill this run.

    Args:
        run_id: The run; without one, ``train`` would make its own.
    """
    return {
        "MLFLOW_TRACKING_URI": tracking_uri(),
        LAUNCHER_VARIABLE: run_id,
        "MLFLOW_EXPERIMENT_ID": None,
        "MLFLOW_EXPERIMENT_NAME": None,
    }


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended."""

    status: str
    """FINISHED, FAILED or KILLED."""
    outcome: str
    """complete, pruned and so on."""
    reason: str = ""
    """Why it ended early, or may not win; empty otherwise."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What else is known: ``FEASIBLE_TAG``, true or false, and ``OBJECTIVE_TAG``, a JSON object
    of the objectives' values by metric."""


def end_trial_run(run_id: str, end: TrialEnd, metrics: Mapping[str, float], log: str = "") -> None:
    """Say in a trial's run how it ended, whatever status its process left it in.

    Args:
        run_id: The trial's run.
        end: How.
        metrics: Figures of the process, for example its peak memory.
        log: The last lines it wrote, kept as ``trial.log`` when there are any.

    Raises:
        TrackingError: The store cannot be used.
    """
    with store_errors():
        client = mlflow.MlflowClient()
        _close(client, run_id, end)
        client.log_batch(run_id, [Metric(key, value, _now(), 0) for key, value in metrics.items()])
        if log:
            client.log_text(run_id, log, TRIAL_LOG_FILE)


def end_dead_runs(parent_id: str, living: Collection[int], reason: str) -> list[str]:
    """Close as KILLED the open children whose trial is not under way; returns their ids.

    Args:
        parent_id: The study's run.
        living: Numbers of the trials that are under way.
        reason: Why they are closed.

    Raises:
        TrackingError: The store cannot be used.
    """
    with store_errors():
        client = mlflow.MlflowClient()
        experiment_id = client.get_run(parent_id).info.experiment_id
        found = client.search_runs(
            [experiment_id],
            f"tags.`{PARENT_TAG}` = '{parent_id}' and attributes.status = 'RUNNING'",
            max_results=_MOST_CHILDREN,
        )
        dead = [run for run in found if int(run.data.tags.get(TRIAL_TAG, -1)) not in living]
        for run in dead:
            logger.info("run %s of a dead trial is closed", run.info.run_id)
            _close(client, run.info.run_id, TrialEnd("KILLED", "died", reason))
    return [str(run.info.run_id) for run in dead]


def _find_or_make_parent(
    client: mlflow.MlflowClient, dataset: str, study: str, study_id: str
) -> str:
    experiment_id = find_experiment_id(client, dataset)
    if experiment_id is not None:
        query = f"tags.`{STUDY_ID_TAG}` = '{study_id}' and tags.`{KIND_TAG}` = '{SWEEP}'"
        found = client.search_runs([experiment_id], query, max_results=1)
        if found:
            point_launcher_to(client, found[0].info.run_id, dataset)
            return str(found[0].info.run_id)
    tags = {STUDY_TAG: study, STUDY_ID_TAG: study_id, "mlflow.runName": study}
    return make_or_take_run(client, dataset, SWEEP, tags)


def _close(client: mlflow.MlflowClient, run_id: str, end: TrialEnd) -> None:
    tags = {**end.tags, OUTCOME_TAG: end.outcome}
    if end.reason:
        tags[REASON_TAG] = end.reason[:5000]
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    if client.get_run(run_id).info.status != end.status:
        client.set_terminated(run_id, end.status)


def _now() -> int:
    """Milliseconds, as MLflow counts them."""
    return int(1000 * time.time())
