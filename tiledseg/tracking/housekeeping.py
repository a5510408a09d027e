"""Runs whose process is dead, and folders of runs that nobody needs any more."""

import shutil
import time
from dataclasses import dataclass

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from tiledseg.data.disk_quota import measure_size
from tiledseg.errors import TrackingError
from tiledseg.tracking.heartbeat import is_dead
from tiledseg.tracking.moved_store import find_move, repair_move
from tiledseg.tracking.names import ERROR_TAG, HEARTBEAT_TAG, KIND_TAG, OWNER_TAG, RUN_TAG
from tiledseg.tracking.offline import is_offline
from tiledseg.tracking.ownership import Owner
from tiledseg.tracking.run_folder import state_home
from tiledseg.tracking.schema import read_schema
from tiledseg.tracking.store import connect, require_files, store_address, store_errors
from tiledseg.tracking.store_problems import is_forbidden, is_missing
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
        schema: Form of its database, or a server's version of MLflow; empty where it is not known.
    """

    address: str
    seconds: float | None
    problem: str = ""
    schema: str = ""


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
        status: MLflow's; ``offline`` of a run that is in no store yet; ``unknown`` where the store
            has no such run.
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
    began, seconds = time.perf_counter(), None
    try:
        connect()
        seconds = time.perf_counter() - began
        require_files()
    except TrackingError as error:
        return StoreHealth(store_address(), seconds, str(error), read_schema())
    return StoreHealth(store_address(), seconds, schema=read_schema())


def repair_store() -> str:
    """Correct the records of a local store that was moved.

    Returns:
        What was done, in one line; empty where there was nothing to do.

    Raises:
        TrackingError: Its database cannot be written.
    """
    move = find_move(mlflow.get_tracking_uri())
    if move is None:
        return ""
    copy = repair_move(move)
    return f"records of {move.before} name {move.now} now; the database as it was: {copy}"


def find_zombies() -> list[Zombie]:
    """Runs that are called RUNNING though their process is dead.

    A run of ours that nobody has is one of them, unless it has begun just now.

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
        if not is_dead(tags) and not _is_abandoned(client, run):
            continue
        owner, run_id = Owner.read(tags), str(run.info.run_id)
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
        if not is_dead(tags) and (OWNER_TAG in tags or HEARTBEAT_TAG in tags):
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


def _is_abandoned(client: mlflow.MlflowClient, run: Run) -> bool:
    """Whether a run that nobody has ever had, or that only waits for another one, is dead."""
    tags = run.data.tags
    is_ours = KIND_TAG in tags  # and not of another program in the same store
    if not is_ours or {OWNER_TAG, HEARTBEAT_TAG} & set(tags):
        return False
    if RUN_TAG not in tags:
        return _seconds_since(run.info.start_time) > _YOUNG_SECONDS
    try:
        awaited = client.get_run(tags[RUN_TAG])
    except MlflowException as error:
        if not is_missing(error):
            raise
        return not is_forbidden(error)
    if awaited.info.status == "RUNNING":
        return is_dead(awaited.data.tags)
    return _seconds_since(awaited.info.end_time) > _YOUNG_SECONDS


def _seconds_since(moment: int | None) -> float:
    """Seconds since a moment in milliseconds since 1970; none since one that is not known."""
    return time.time() - moment / 1000 if moment else 0.0


def _status(client: mlflow.MlflowClient, run_id: str) -> str:
    if is_offline(run_id):
        return "offline"
    try:
        return str(client.get_run(run_id).info.status)
    except MlflowException as error:
        if not is_missing(error):
            raise  # a server that stumbles knows the run all the same
        return "unknown"
