"""Temporary folders that do not outlive their process, even one that was killed.

Each holds a lock while its process lives. Whoever makes one removes those whose lock is free.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

_PREFIX, _LOCK = "tiledseg-", ".lock"
_YOUNG_SECONDS = 60.0
"""A folder may be about to get its lock."""


class ScratchFolder:
    """An empty folder within one of mode 0700 under the system's temporary folder.

    Args:
        purpose: Part of its name.
    """

    def __init__(self, purpose: str) -> None:
        remove_dead()
        self._place = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-"))
        # Closed by hand or by the process' end, in whatever thread.
        self._lock = filelock.FileLock(self._place / _LOCK, thread_local=False)
        self._lock.acquire()
        self.path = self._place / "files"
        self.path.mkdir()

    def close(self) -> None:
        """Remove it with all that is in it."""
        self._lock.release()
        shutil.rmtree(self._place, ignore_errors=True)


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
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*/{_LOCK}"):
        with suppress(OSError, filelock.Timeout):
            if time.time() - place.stat().st_mtime < _YOUNG_SECONDS:
                continue
            lock = filelock.FileLock(place, timeout=0)
            with lock:
                shutil.rmtree(place.parent, ignore_errors=True)
