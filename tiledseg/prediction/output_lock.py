"""One process at an output at a time."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from tiledseg.errors import OutputError

if sys.platform != "win32":
    import fcntl


class OutputLock:
    """Holds all files of one name in a folder, until released or until this process ends.

    The lock is the kernel's, on the file ``.STEM.lock``: that file may outlive a process that
    was killed, and keeps nobody out. On Windows, which has nothing alike, nothing is held.

    Args:
        folder: Where the output will be; it exists.
        stem: Name of the output.

    Raises:
        OutputError: Another process, or another prediction of this one, holds it.
        OSError: The file cannot be made.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self._path = folder / f".{stem}.lock"
        self._file: int | None = None
        if sys.platform == "win32":
            return
        while self._file is None:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_at_path(file):
                    self._file = file
            except BlockingIOError:
                raise OutputError(
                    f"{folder / stem}: another process is writing the same output; wait for it, "
                    "or name another --output"
                ) from None
            finally:
                if self._file is None:
                    os.close(file)

    def release(self) -> None:
        """Let others in, and leave no file behind; more than once is as good as once."""
        if self._file is None:
            return
        # While it is held: after that it could be another process' lock.
        with suppress(OSError):
            self._path.unlink()
        os.close(self._file)
        self._file = None

    def _is_at_path(self, file: int) -> bool:
        """False where the one who held it took the file away after we had opened it."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False
