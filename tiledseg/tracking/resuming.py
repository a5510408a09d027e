"""Which run is resumed, with which settings, and from which state."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.config.regular_files import read_json
from tiledseg.errors import ExperimentError, TrackingError
from tiledseg.images.atomic import atomic_file
from tiledseg.tracking.checkpoints import fetch_state
from tiledseg.tracking.names import KIND_TAG, REPRODUCES_TAG
from tiledseg.tracking.offline import is_offline, read_offline_experiment
from tiledseg.tracking.run_ids import find_experiment_id
from tiledseg.tracking.runs import read_experiment
from tiledseg.tracking.store import connect, store_errors
from tiledseg.tracking.tracked_run import TrackedRun
from tiledseg.training.session import STATE_FILE

LAST = "last"
"""Stands for the newest run of a dataset that can be resumed."""
_HARMLESS = (
    "training.epochs",
    "training.max_minutes",
    "training.epoch_pictures",
    "training.workers",
    "training.patience",
    "tracking.",
    "evaluation.",
)
"""Settings that do not change the numbers so far."""


@dataclass(frozen=True)
class Resumption:
    """What is gone on with.

    Attributes:
        experiment: Its settings.
        run_id: The run to open again; None for a new run.
        parent: The finished run that a new run goes on from; empty otherwise.
    """

    experiment: Experiment
    run_id: str | None
    parent: str = ""


def plan_resumption(run_id: str, changes: Sequence[str] = ()) -> Resumption:
    """How a run of the store is resumed.

    Args:
        run_id: The run. A FINISHED one stays as it is, and a new run goes on from it.
        changes: Settings that are to be others, ``KEY=VALUE`` each.

    Raises:
        TrackingError: There is no such run, or nothing is left to train.
        ExperimentError: A setting would change the numbers so far.
    """
    experiment = read_experiment(run_id)
    with store_errors(f"run {run_id}"):
        run = connect().get_run(run_id)
    repeated = run.data.tags.get(REPRODUCES_TAG)
    if repeated and run.info.status != "FINISHED":
        raise TrackingError(
            f"run {run_id} repeats run {repeated} and is not resumed; `tiledseg reproduce "
            f"{repeated}` begins again"
        )
    changed = _change_harmless(experiment, run_id, changes)
    if run.info.status != "FINISHED":
        return Resumption(changed, run_id)
    if changed.training == experiment.training:
        raise TrackingError(
            f"run {run_id} is FINISHED and stays as it is; a new run goes on with its training "
            "where there is more to train: add --set training.epochs=N or training.max_minutes=N"
        )
    return Resumption(changed, None, run_id)


def plan_offline_resumption(run_id: str, changes: Sequence[str] = ()) -> Resumption:
    """How a run without a store is resumed without one.

    Args:
        run_id: The offline run.
        changes: Settings that are to be others, ``KEY=VALUE`` each.

    Raises:
        TrackingError: There is no such run on this machine.
        ExperimentError: A setting would change the numbers so far.
    """
    if not is_offline(run_id):
        raise TrackingError(
            f"run {run_id} is one of a store, and cannot be gone on with without it; leave out "
            "--offline, or name a run that was begun with it"
        )
    return Resumption(_change_harmless(read_offline_experiment(run_id), run_id, changes), run_id)


def _change_harmless(experiment: Experiment, run_id: str, changes: Sequence[str]) -> Experiment:
    for key in (change.partition("=")[0] for change in changes):
        if not key.startswith(_HARMLESS):
            raise ExperimentError(
                f"--set {key} would change the numbers that run {run_id} has logged so far; beside "
                f"--resume only {', '.join(key.rstrip('.') for key in _HARMLESS)} may be changed, "
                "so start a new training without --resume"
            )
    return parse_experiment(experiment.to_yaml(), f"run {run_id}", changes)


def find_last(dataset: str) -> str:
    """The newest training of a dataset that can be resumed.

    Raises:
        TrackingError: There is none.
    """
    client = connect()
    with store_errors():
        experiment_id = find_experiment_id(client, dataset)
        runs = (
            client.search_runs(
                [experiment_id],
                f"tags.`{KIND_TAG}` = 'train' and attributes.status != 'FINISHED'",
                order_by=["attributes.start_time DESC"],
            )
            if experiment_id
            else []
        )
    own = [run for run in runs if REPRODUCES_TAG not in run.data.tags]
    if not own:
        raise TrackingError(
            f"{dataset} has no training that can be resumed: none was stopped; start one without "
            "--resume"
        )
    return str(own[0].info.run_id)


def fetch_training(run: TrackedRun, source: str) -> bool:
    """Bring the state of a run to where a training goes on from it.

    Args:
        run: The open run.
        source: The run whose state it is: the same, or its parent.

    Returns:
        Whether there is a state; without one the training begins anew.
    """
    path = run.state_folder / STATE_FILE
    if run.client is None:
        return path.is_file()
    with store_errors():
        is_here = fetch_state(run.client, source, run.state_folder, STATE_FILE)
    if is_here and source != run.run_id:
        with suppress(TypeError, ValueError):  # a damaged state is told of where it is read
            # What had ended it may be other now; if not, its own rules end it again.
            state = {**read_json(path), "stopped": False}
            with atomic_file(path) as file:
                file.write(json.dumps(state).encode())
    return is_here
