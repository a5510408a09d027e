"""Runs whose process is dead, and folders of runs that nobody needs any more."""

import shutil
import time
from dataclasses import dataclass

import mlflow
from mlflow.exceptions import MlflowException

from tiledseg.data.disk_quota import measure_size
from tiledseg.errors import TrackingError
from tiledseg.tracking.names import ERROR_TAG, KIND_TAG, OWNER_TAG
from tiledseg.tracking.ownership import Owner
from tiledseg.tracking.run_folder import state_home
from tiledseg.tracking.store import connect, store_address, store_errors
from tiledseg.tracking.sweeps import SWEEP
from tiledseg.tracking.syncing import count_unsent

_MOST_RUNS = 1000
_YOUNG_SECONDS = 120.0
"""A run without an owner may be about to get one."""
_ENDED_BY = "its process died; closed by tiledseg doctor"


@dataclass(frozen=True)
class StoreHealth:
    """What the MLflow store is like from here.

    Attributes:
        address: Without its login.
        seconds: Of one answer; None where there is none.
        problem: Why not, or empty.
    """

    address: str
    seconds: float | None
    problem: str = ""


@dataclass(frozen=True)
class Zombie:
    """A run that MLflow calls RUNNING, and whose process is dead.

    Attributes:
        run_id: The run.
        dataset: Its MLflow experiment.
        owner: The process, in words.
        unsent: Entries on this machine that are not in the store yet.
    """

    run_id: str
    dataset: str
    owner: str
    unsent: int


@dataclass(frozen=True)
class StateFolder:
    """What a run keeps on this machine.

    Attributes:
        run_id: The run.
        status: MLflow's; ``unknown`` where the store has no such run.
        megabytes: Of all files.
        unsent: Entries that are not in the store yet.
    """

    run_id: str
    status: str
    megabytes: float
    unsent: int

    @property
    def is_needless(self) -> bool:
        """Whether the run ended well and all of it is in the store."""
        return self.status == "FINISHED" and not self.unsent


def measure_store() -> StoreHealth:
    """Ask the store, and say how long its answer took."""
    began = time.perf_counter()
    try:
        connect()
    except TrackingError as error:
        return StoreHealth(store_address(), None, str(error))
    return StoreHealth(store_address(), time.perf_counter() - began)


def find_zombies() -> list[Zombie]:
    """Runs that are called RUNNING though their process is dead.

    A run without an owner is one where it is no sweep, whose trials tell whether it lives, and
    has not begun just now.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    zombies = []
    with store_errors():
        experiments = {each.experiment_id: each.name for each in client.search_experiments()}
        runs = client.search_runs(
            list(experiments), "attributes.status = 'RUNNING'", max_results=_MOST_RUNS
        )
    for run in runs:
        tags = run.data.tags
        owner = Owner.read(tags)
        if owner is None:
            age = time.time() - run.info.start_time / 1000
            if tags.get(KIND_TAG, SWEEP) == SWEEP or age < _YOUNG_SECONDS:
                continue
        elif owner.is_alive():
            continue
        run_id = str(run.info.run_id)
        zombies.append(
            Zombie(
                run_id,
                experiments[run.info.experiment_id],
                str(owner) if owner else "nobody",
                count_unsent(state_home() / run_id),
            )
        )
    return zombies


def close_zombie(zombie: Zombie) -> None:
    """Close a run as KILLED; what is on this machine stays, so that it can be resumed.

    Raises:
        TrackingError: The store does not answer.
    """
    client = connect()
    with store_errors():
        tags = client.get_run(zombie.run_id).data.tags
        owner = Owner.read(tags)
        if owner is not None and owner.is_alive():
            return  # somebody has resumed it meanwhile
        client.set_tag(zombie.run_id, ERROR_TAG, _ENDED_BY)
        client.set_terminated(zombie.run_id, "KILLED")
        if OWNER_TAG in tags:
            client.delete_tag(zombie.run_id, OWNER_TAG)


def list_state_folders() -> list[StateFolder]:
    """What runs keep on this machine.

    Raises:
        TrackingError: The store does not answer.
    """
    home = state_home()
    folders = [place for place in sorted(home.iterdir()) if place.is_dir()] if home.is_dir() else []
    client = connect()
    with store_errors():
        return [
            StateFolder(
                folder.name,
                _status(client, folder.name),
                measure_size(folder) / 1e6,
                count_unsent(folder),
            )
            for folder in folders
        ]


def remove_state_folder(folder: StateFolder) -> None:
    """Remove what a run that ended well keeps here."""
    if folder.is_needless:
        shutil.rmtree(state_home() / folder.run_id, ignore_errors=True)


def _status(client: mlflow.MlflowClient, run_id: str) -> str:
    try:
        return str(client.get_run(run_id).info.status)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise  # a server that stumbles knows the run all the same
        return "unknown"
