"""Which process a run belongs to: one at a time.

The owner writes its host, process and a random token into a tag of the run, with the moment of
its last heartbeat, and reads the token again before it sends anything: whoever finds another
token there has lost the run and leaves it alone. MLflow cannot compare and set in one step, so
two hosts that take a run in the same second may both believe that it is theirs until each has
read the tag again, ``SETTLE_SECONDS`` later; on one host a file lock keeps them apart.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import mlflow
import psutil

from tiledseg.errors import TrackingError
from tiledseg.tracking.host_lock import host_lock
from tiledseg.tracking.names import OWNER_TAG

HEARTBEAT_SECONDS = 15.0
"""How often an owner says that it lives."""
DEAD_SECONDS = 4 * HEARTBEAT_SECONDS
"""An owner on another host that has been silent for so long is taken for dead."""
SETTLE_SECONDS = 1.0
"""After taking a run of another host: how long to wait before looking who has it."""


@dataclass(frozen=True)
class Owner:
    """A process that a run belongs to.

    Attributes:
        token: Tells it from every other.
        host: Name of its machine.
        process: Its number there.
        started: When that process began, seconds since 1970; numbers are used again.
        heartbeat: When it last said that it lives, seconds since 1970.
    """

    token: str
    host: str
    process: int
    started: float
    heartbeat: float

    @classmethod
    def this_process(cls) -> "Owner":
        """A new owner: two runs of one process have two."""
        started = psutil.Process().create_time()
        return cls(uuid.uuid4().hex, socket.gethostname(), os.getpid(), started, time.time())

    @classmethod
    def read(cls, tags: Mapping[str, str]) -> "Owner | None":
        """The owner that a run's tags name, or None."""
        try:
            return cls(**json.loads(tags[OWNER_TAG]))
        except (KeyError, ValueError, TypeError):
            return None

    def is_alive(self) -> bool:
        """Whether it is at work: not ended, and not stopped as under a closed lid."""
        if self.host != socket.gethostname():
            return time.time() - self.heartbeat < DEAD_SECONDS
        return self._process_status() not in {"", psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}

    def has_ended(self) -> bool:
        """Whether its process is gone for certain: it was one of this host."""
        if self.host != socket.gethostname():
            return False
        return self._process_status() in {"", psutil.STATUS_ZOMBIE}

    def _process_status(self) -> str:
        """What psutil says of the process on this host; empty where there is none."""
        try:
            process = psutil.Process(self.process)
            is_same = abs(process.create_time() - self.started) < 1.0
            return str(process.status()) if is_same else ""
        except psutil.Error:
            return ""

    def __str__(self) -> str:
        silent = max(0, round(time.time() - self.heartbeat))
        return f"process {self.process} on {self.host}, last heard of {silent} s ago"


class Ownership:
    """This process' hold on a run.

    Args:
        client: The store.
        run_id: The run.

    Raises:
        TrackingError: A living process has it.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._own = Owner.this_process()
        with host_lock(run_id):
            before = Owner.read(client.get_run(run_id).data.tags)
            if before is not None and before.is_alive():
                raise TrackingError(
                    f"run {run_id} belongs to {before}; wait until it has ended, or stop it"
                )
            self.beat()
        if before is not None and before.host != self._own.host:
            time.sleep(SETTLE_SECONDS)
        self.check()

    def beat(self) -> None:
        """Say that this process lives; only its owner may."""
        self._own = replace(self._own, heartbeat=time.time())
        self._client.set_tag(self._run_id, OWNER_TAG, json.dumps(asdict(self._own)))

    def check(self) -> None:
        """Refuse to go on with a run that another process has taken.

        Raises:
            LostRunError: It is another's.
        """
        holder = Owner.read(self._client.get_run(self._run_id).data.tags)
        if holder is None or holder.token != self._own.token:
            raise LostRunError(
                f"run {self._run_id} belongs to {holder or 'nobody'} now; this process leaves it"
            )

    def renew(self) -> None:
        """Check, and say that this process lives if it has not for a while."""
        self.check()
        if time.time() - self._own.heartbeat > HEARTBEAT_SECONDS:
            self.beat()

    def release(self) -> None:
        """Let others have the run."""
        self._client.delete_tag(self._run_id, OWNER_TAG)


class LostRunError(TrackingError):
    """Another process has taken the run."""
