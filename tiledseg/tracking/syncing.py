"""Sending what runs of this machine could not send: ``tiledseg sync``."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from tiledseg.errors import StoreAwayError, TrackingError
from tiledseg.tracking.delivery import deliver
from tiledseg.tracking.offline import (
    hold_offline_run,
    is_offline,
    leave_to_store,
    list_offline,
    place_in_store,
)
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.ownership import Owner, Ownership
from tiledseg.tracking.run_folder import read_store, state_home
from tiledseg.tracking.runs import PATIENCE_SECONDS
from tiledseg.tracking.sender import Sender
from tiledseg.tracking.store import connect, store_address, store_errors
from tiledseg.tracking.store_problems import is_missing


@dataclass(frozen=True)
class SentRun:
    """A run of which all is in the store now.

    Attributes:
        run_id: Its id there.
        status: Its status there.
    """

    run_id: str
    status: str


def list_unsent() -> list[str]:
    """Ids of the runs of this machine that have something to send, offline ones among them."""
    home = state_home()
    folders = sorted(home.iterdir()) if home.is_dir() else []
    offline = set(list_offline())
    return [place.name for place in folders if count_unsent(place) or place.name in offline]


def sync_run(run_id: str) -> SentRun:
    """Send what a run has left, and close it truthfully.

    A run whose process died before it could say how it ended is KILLED. An offline run gets its
    id in the store.

    Args:
        run_id: The run.

    Raises:
        TrackingError: There is nothing to send, the store does not answer, or a living process
            has the run.
        StoreAwayError: The store went away again.
    """
    folder = state_home() / run_id
    if run_id not in list_unsent():
        raise TrackingError(
            f"run {run_id} has nothing to send: all of it is in the store, or it was trained on "
            f"another machine ({folder} is where this one looks; TILEDSEG_STATE names another)"
        )
    client = connect()
    with _open_record(client, run_id) as store_id:
        status = _send(client, store_id, folder)
    if status == "FINISHED":
        shutil.rmtree(folder, ignore_errors=True)
    elif store_id != run_id:
        leave_to_store(run_id, store_id)
    return SentRun(store_id, status)


def list_leftovers() -> list[str]:
    """Ids of this store's runs whose process has ended on this machine with something to send.

    Offline runs are not among them: nothing says which store they are for.
    """
    return [
        run_id
        for run_id in list_unsent()
        if not is_offline(run_id)
        and read_store(state_home() / run_id) == store_address()
        and _has_ended(run_id)
    ]


def count_unsent(folder: Path) -> int:
    """Entries in a run's folder that are not in the store yet."""
    outbox = folder / "outbox"
    return sum(1 for place in outbox.iterdir() if place.name.isdigit()) if outbox.is_dir() else 0


@contextmanager
def _open_record(client: mlflow.MlflowClient, run_id: str) -> Iterator[str]:
    """Hold a run for the block; yields its id in the store."""
    if not is_offline(run_id):
        yield run_id
        return
    with hold_offline_run(run_id):
        with store_errors():
            store_id = place_in_store(client, run_id)
        yield store_id


def _send(client: mlflow.MlflowClient, run_id: str, folder: Path) -> str:
    """Send what lies in a folder to a run; returns its status afterwards."""
    with store_errors():
        ownership = Ownership(client, run_id)
    outbox = Outbox(folder / "outbox")
    with Sender(outbox, lambda entry: deliver(client, run_id, entry), ownership.renew) as sender:
        if not sender.drain(PATIENCE_SECONDS):
            raise StoreAwayError(
                f"the MLflow store {store_address()} does not answer any more; what is left to "
                f"send is kept in {folder}: `tiledseg sync {folder.name}` sends it"
            )
    with store_errors():
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, "KILLED")
        status = str(client.get_run(run_id).info.status)
        ownership.release()
    return status


def _has_ended(run_id: str) -> bool:
    """Whether the process that had a run has ended here; one that sleeps may go on."""
    with store_errors():
        try:
            owner = Owner.read(connect().get_run(run_id).data.tags)
        except MlflowException as error:
            if not is_missing(error):
                raise
            return False  # removed from the store meanwhile
    return owner is None or owner.has_ended()
