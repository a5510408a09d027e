"""Temporary folders that do not outlive their process, even one that was killed.

Beside each lies a lock, held while its process lives. Whoever makes one removes those whose lock
is free.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

_PREFIX, _LOCK = "tiledseg-", ".lock"


class ScratchFolder:
    """An empty folder of mode 0700 in the system's temporary folder.

    Args:
        purpose: Part of its name.

    Attributes:
        path: The folder.
    """

    def __init__(self, purpose: str) -> None:
        remove_dead()
        name = f"{_PREFIX}{purpose}-{secrets.token_hex(8)}"
        self.path = Path(tempfile.gettempdir(), name)
        # Before the folder: a folder without a lock would be nobody's. Closed by hand or by the
        # process' end, in whatever thread.
        self._lock = _lock_of(self.path)
        self._lock.acquire()
        self.path.mkdir(mode=0o700)

    def close(self) -> None:
        """Remove it with all that is in it; more than once is as good as once."""
        if self._lock.is_locked:
            _remove(self.path, self._lock)


@contextmanager
def open_scratch(purpose: str) -> Iterator[Path]:
    """An empty folder that is removed with the block."""
    folder = ScratchFolder(purpose)
    try:
        yield folder.path
    finally:
        folder.close()


def remove_dead() -> None:
    """Remove the folders of this user whose processes were killed."""
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*{_LOCK}"):
        folder = place.with_suffix("")
        with suppress(OSError, filelock.Timeout):
            lock = _lock_of(folder)
            lock.acquire(timeout=0)
            _remove(folder, lock)


def _lock_of(folder: Path) -> filelock.FileLock:
    return filelock.FileLock(f"{folder}{_LOCK}", thread_local=False, mode=0o600)


def _remove(folder: Path, lock: filelock.FileLock) -> None:
    """Remove a folder, and last its lock, while that is held: so nothing is left without one."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():  # else the next process tries again
        with suppress(OSError):
            Path(lock.lock_file).unlink()
    lock.release()
