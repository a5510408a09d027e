"""One process at a place at a time: at a dataset, an output, an entry of a cache."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tiledseg.errors import OutputError
from tiledseg.images.atomic import cannot_write
from tiledseg.images.names import hidden_name

logger = logging.getLogger(__name__)

_END = ".lock"
_FIRST = 1 if os.name == "nt" else 0
"""Where the holder's name is read from: Windows keeps others from the byte that is locked."""
_LOOKS, _LOOK_SECONDS = 20, 0.01
"""How often, and after which pause, the holder's name is looked for."""
_PATIENCE_SECONDS = 300.0
"""How long an entry of a cache may take another process."""


class PlaceLock:
    """Holds a file or folder that is about to be written, until released or the process ends.

    The lock is the kernel's, on the file ``.NAME.lock`` beside the place, which says who has it:
    that file may outlive a process that was killed, and keeps nobody out.

    Args:
        place: What will be written; its folder is made if missing.
        remedy: What those may do who are refused.
        patience: Seconds to wait until it is free; None waits for ever.

    Raises:
        OutputError: Somebody has it, and keeps it.
        OSError: The file cannot be made.
    """

    def __init__(
        self, place: Path, remedy: str = "wait for it", *, patience: float | None = 0.0
    ) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        self._path = place.with_name(hidden_name(place.name, _END))
        # Not bound to a thread: what waits for a prediction need not be what started it.
        self._lock = FileLock(self._path, thread_local=False, poll_interval=0.02)
        try:
            self._lock.acquire(timeout=-1 if patience is None else patience)
        except Timeout:
            raise OutputError(f"{place}: {_holder(self._path)} is writing it; {remedy}") from None
        self._sign()

    def release(self) -> None:
        """Let others in, and leave no file behind; more than once is as good as once."""
        if not self._lock.is_locked:
            return
        # While it is held: after that it could be another process' lock. Whoever had opened the
        # file sees, once it is locked, that it has no name any more, and makes another.
        with suppress(OSError):
            self._path.unlink()
        self._lock.release()

    def _sign(self) -> None:
        """Say who has it. Where a drive knows no locks, filelock has said it in the same words."""
        if hasattr(self._lock, "pid"):
            return
        with suppress(OSError), self._path.open("r+b", buffering=0) as file:  # it is only told
            file.seek(_FIRST)
            file.truncate()
            file.write(f"{os.getpid()}\n{socket.gethostname()}\n".encode())


def find_locked(folder: Path, prefix: str) -> list[Path]:
    """The places in a folder that have a lock's file, held or left by a process that was killed.

    Args:
        folder: Where the places are.
        prefix: What their names begin with.
    """
    locks = folder.glob(f".{prefix}*{_END}")
    return [lock.with_name(lock.name.removeprefix(".").removesuffix(_END)) for lock in locks]


@contextmanager
def hold(place: Path, remedy: str = "wait for it", *, waits: bool = False) -> Iterator[None]:
    """Hold a place while it is written; whoever waits for it says so.

    Args:
        place: As for ``PlaceLock``.
        remedy: Likewise.
        waits: Wait until it is free.

    Raises:
        OutputError: Somebody has it, or its folder cannot be written.
    """
    try:
        try:
            lock = PlaceLock(place, remedy)
        except OutputError as held:
            if not waits:
                raise
            logger.info("%s", held)
            lock = PlaceLock(place, patience=None)
    except OSError as error:
        raise cannot_write(place, error) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def take_turn(place: Path) -> Iterator[None]:
    """Wait until nobody else makes the same entry of a cache.

    Where the lock cannot be had, as in a folder that cannot be written or from a process that
    sleeps, the entry is made all the same: entries appear whole, and are only made twice.
    """
    try:
        lock = PlaceLock(place, patience=_PATIENCE_SECONDS)
    except (OSError, OutputError):
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _holder(path: Path) -> str:
    """Who has a lock, as its file says; it may have been taken just now, and not be signed yet."""
    for _ in range(_LOOKS):
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(_FIRST)
                process, host = file.readall().decode().split()
        except (OSError, ValueError):
            time.sleep(_LOOK_SECONDS)
            continue
        if (process, host) == (str(os.getpid()), socket.gethostname()):
            return "this process"
        return f"process {process} on {host}"
    return "another process"
