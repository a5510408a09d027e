"""One process at an output at a time."""

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tiledseg.errors import OutputError


class OutputLock:
    """Holds all files of one name in a folder, until released or until this process ends.

    The lock is the kernel's, on the file ``.STEM.lock``: that file may outlive a process that
    was killed, and keeps nobody out.

    Args:
        folder: Where the output will be; it exists.
        stem: Name of the output.

    Raises:
        OutputError: Another process, or another prediction of this one, holds it.
        OSError: The file cannot be made.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self._path = folder / f".{stem}.lock"
        # Not bound to a thread: what waits for a prediction need not be what started it.
        self._lock = FileLock(self._path, blocking=False, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise OutputError(
                f"{folder / stem}: another process is writing the same output; wait for it, "
                "or name another --output"
            ) from None

    def release(self) -> None:
        """Let others in, and leave no file behind; more than once is as good as once."""
        if not self._lock.is_locked:
            return
        # While it is held: after that it could be another process' lock. Whoever had opened the
        # file sees, once it is locked, that it has no name any more, and makes another.
        with suppress(OSError):
            self._path.unlink()
        self._lock.release()
