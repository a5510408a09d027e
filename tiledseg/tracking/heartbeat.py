"""Sweeps say that they live: several processes may share the run of one study.

A run that one process has is told alive by its owner, see ``ownership``.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.tracking.names import HEARTBEAT_TAG
from tiledseg.tracking.ownership import DEAD_SECONDS, HEARTBEAT_SECONDS, Owner


@contextmanager
def keep_alive(client: mlflow.MlflowClient, run_id: str) -> Iterator[None]:
    """Write the moment into a run now, and again and again while the block lasts."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            with suppress(MlflowException, SQLAlchemyError, OSError):  # the store may be away
                client.set_tag(run_id, HEARTBEAT_TAG, f"{time.time():.0f}")

    client.set_tag(run_id, HEARTBEAT_TAG, f"{time.time():.0f}")
    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def is_dead(tags: Mapping[str, str]) -> bool:
    """Whether the process of a run that is called RUNNING is known to be dead.

    Args:
        tags: Of the run.
    """
    owner = Owner.read(tags)
    if owner is not None:
        return not owner.is_alive()
    try:
        return time.time() - float(tags[HEARTBEAT_TAG]) > DEAD_SECONDS
    except (KeyError, ValueError):
        return False
