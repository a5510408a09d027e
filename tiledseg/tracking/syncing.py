"""Sending what runs of this machine could not send: ``tiledseg sync``."""

import shutil
from pathlib import Path

from tiledseg.errors import StoreAwayError, TrackingError
from tiledseg.tracking.delivery import deliver
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.ownership import Ownership
from tiledseg.tracking.run_folder import state_home
from tiledseg.tracking.runs import PATIENCE_SECONDS
from tiledseg.tracking.sender import Sender
from tiledseg.tracking.store import connect, store_address, store_errors


def list_unsent() -> list[str]:
    """Ids of the runs of this machine that have something to send."""
    home = state_home()
    folders = sorted(home.iterdir()) if home.is_dir() else []
    return [folder.name for folder in folders if count_unsent(folder)]


def sync_run(run_id: str) -> str:
    """Send what a run has left, and close it truthfully; returns its status.

    A run whose process died before it could say how it ended is KILLED.

    Args:
        run_id: The run.

    Raises:
        TrackingError: There is nothing to send, the store does not answer, or a living process
            has the run.
        StoreAwayError: The store went away again.
    """
    folder = state_home() / run_id
    if not count_unsent(folder):
        raise TrackingError(
            f"run {run_id} has nothing to send: all of it is in the store, or it was trained on "
            f"another machine ({folder} is where this one looks; TILEDSEG_STATE names another)"
        )
    client = connect()
    with store_errors():
        ownership = Ownership(client, run_id)
    outbox = Outbox(folder / "outbox")
    with Sender(outbox, lambda entry: deliver(client, run_id, entry), ownership.renew) as sender:
        if not sender.drain(PATIENCE_SECONDS):
            raise StoreAwayError(
                f"the MLflow store {store_address()} does not answer any more; what is left to "
                f"send is kept in {folder}: `tiledseg sync {run_id}` sends it"
            )
    with store_errors():
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, "KILLED")
        status = str(client.get_run(run_id).info.status)
        ownership.release()
    if status == "FINISHED":
        shutil.rmtree(folder, ignore_errors=True)
    return status


def count_unsent(folder: Path) -> int:
    """Entries in a run's folder that are not in the store yet."""
    outbox = folder / "outbox"
    return sum(1 for place in outbox.iterdir() if place.name.isdigit()) if outbox.is_dir() else 0
