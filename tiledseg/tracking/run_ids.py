"""The run that a job logs to: a new one, or the one that ``mlflow run`` made for it."""

import logging
import os
import sys
from collections.abc import Mapping

import mlflow
from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException

from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.errors import TrackingError
from tiledseg.tracking.names import ERROR_TAG, FORMAT_TAG, KIND_TAG, LAUNCHER_TAG, RUN_TAG
from tiledseg.tracking.passwords import hide_passwords

logger = logging.getLogger(__name__)

KIND_OF_EXPERIMENT = "mlflow.experimentKind"
"""Has MLflow's pages show runs and models; without it they ask about agents."""
LAUNCHER_VARIABLE = "MLFLOW_RUN_ID"
"""Set by ``mlflow run`` to the run that it made for the project."""


def make_or_take_run(
    client: mlflow.MlflowClient, name: str, kind: str, tags: Mapping[str, str] | None = None
) -> str:
    """Make the run, or take the one that ``mlflow run`` made; returns its id.

    Args:
        client: The store.
        name: The MLflow experiment that the run belongs to; made where there is none.
        kind: What the run is, kept as a tag.
        tags: By which it is found again; in place as soon as the run is.

    Raises:
        TrackingError: The MLflow experiment is deleted.
    """
    tags = {FORMAT_TAG: str(FORMAT_VERSION), KIND_TAG: kind, **(tags or {})}
    launcher_id = os.environ.pop(LAUNCHER_VARIABLE, None)
    experiment_id = find_or_make_experiment(client, name)
    if launcher_id is not None and not _is_open(client, launcher_id):
        launcher_id = None
    if launcher_id is None:
        source = {"mlflow.source.name": describe_command()}
        return str(client.create_run(experiment_id, tags={**source, **tags}).info.run_id)
    launcher = client.get_run(launcher_id)
    if launcher.info.experiment_id == experiment_id:
        # A sweep says beforehand what its runs are.
        tags[KIND_TAG] = launcher.data.tags.get(KIND_TAG, kind)
        client.log_batch(launcher_id, tags=[RunTag(key, value) for key, value in tags.items()])
        return launcher_id
    source = {
        key: value
        for key, value in launcher.data.tags.items()
        if key.startswith(("mlflow.source.", "mlflow.project.", "mlflow.user"))
    }
    run = client.create_run(experiment_id, tags={**source, **tags, LAUNCHER_TAG: launcher_id})
    _point(client, launcher_id, str(run.info.run_id), name)
    return str(run.info.run_id)


def describe_command() -> str:
    """The command that this process was started with, without passwords."""
    return " ".join(["tiledseg", *map(hide_passwords, sys.argv[1:])])


def _is_open(client: mlflow.MlflowClient, run_id: str) -> bool:
    """Whether a run that the environment names goes on; one that has ended is left alone."""
    try:
        status = client.get_run(run_id).info.status
    except MlflowException:
        status = "unknown"
    if status in {"RUNNING", "SCHEDULED"}:
        return True
    logger.warning(
        "%s names run %s, which is %s; a new run is made", LAUNCHER_VARIABLE, run_id, status
    )
    return False


def point_launcher_to(client: mlflow.MlflowClient, run_id: str, name: str) -> None:
    """Say in the run that ``mlflow run`` made, if it did, that another one is gone on with."""
    launcher_id = os.environ.pop(LAUNCHER_VARIABLE, None)
    if launcher_id is not None and launcher_id != run_id:
        _point(client, launcher_id, run_id, name)


def forget_error(client: mlflow.MlflowClient, run_id: str) -> None:
    """Remove what ended a run before; it is gone on with."""
    if ERROR_TAG in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, ERROR_TAG)


def find_or_make_experiment(client: mlflow.MlflowClient, name: str) -> str:
    """The MLflow experiment of a name, made where there is none yet; returns its id.

    Raises:
        TrackingError: It is deleted.
    """
    found = find_experiment_id(client, name)
    if found is not None:
        return found
    tags = {KIND_OF_EXPERIMENT: "custom_model_development"}
    return str(client.create_experiment(name, tags=tags))


def find_experiment_id(client: mlflow.MlflowClient, name: str) -> str | None:
    """The MLflow experiment of a name, or None where there is none yet.

    Raises:
        TrackingError: It is deleted.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        return None
    if found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"the MLflow experiment {name!r} is deleted; restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    return str(found.experiment_id)


def _point(client: mlflow.MlflowClient, launcher_id: str, run_id: str, name: str) -> None:
    client.set_tag(launcher_id, KIND_TAG, "launcher")
    client.set_tag(launcher_id, RUN_TAG, run_id)
    note = f"Started run {run_id} in experiment {name}, which holds the results."
    client.set_tag(launcher_id, "mlflow.note.content", note)
