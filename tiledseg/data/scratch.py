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

from tiledseg.errors import OutputError
from tiledseg.images.place_lock import PlaceLock, find_locked

_PREFIX = "tiledseg-"


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
        # Before the folder, which would be nobody's without it. Whoever looks for dead ones may
        # have it for a moment.
        self._lock = PlaceLock(self.path, patience=None)
        self.path.mkdir(mode=0o700)

    def close(self) -> None:
        """Remove it with all that is in it; more than once is as good as once."""
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
    for folder in find_locked(Path(tempfile.gettempdir()), _PREFIX):
        with suppress(OSError, OutputError):  # somebody else's, or one that is in use
            _remove(folder, PlaceLock(folder))


def _remove(folder: Path, lock: PlaceLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():  # else the lock's file stays, and the next process tries again
        lock.release()
