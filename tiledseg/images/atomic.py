"""Files and folders that appear whole or not at all, also when the power goes.

    draft  -- written -->  flushed to the disk  -- renamed -->  its own name

This is the only place that renames. A system may write a new name to the disk before the bytes that
belong to it: without the flush, a loss of power leaves an empty file under a final name. Caches
whose readers check what they find leave the flush out (``lasting=False``); it takes milliseconds.
"""

import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tiledseg.errors import OutputError

_THREADS = 8
"""Flushes at once: a disk that gets several together is done with them in the time of one."""
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EROFS}
"""What file systems say that know no flush."""
_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) if os.name == "nt" else os.O_RDONLY
"""Windows flushes only what is open for writing."""


@contextmanager
def atomic_file(
    path: Path, *, lasting: bool = True, replace: bool = True, drafts: Path | None = None
) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when it is complete.

    The bytes go to a hidden file, which is then renamed to ``path`` in one step. A reader, or a
    crash, never meets half a file.

    Args:
        path: The file to write; its folder is made if missing.
        lasting: The bytes are on the disk before the name is.
        replace: Replace what is there.
        drafts: Folder for the hidden file, on the same file system; by default that of ``path``.

    Yields:
        The hidden file, open for binary writing.

    Raises:
        OutputError: The folder cannot be made, or the file cannot be written.
        FileExistsError: It is there, and not to be replaced.
    """
    draft = (drafts or path.parent) / f".{os.getpid()}-{secrets.token_hex(6)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as file:
            yield file
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        is_named = True
        if replace:
            draft.replace(path)
        else:
            is_named = _claim_name(draft, path)
        if lasting:
            flush_folders([path.parent])
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    if not is_named:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def give_names(moves: Sequence[tuple[Path, Path]], *, lasting: bool = True) -> None:
    """Rename what is complete, in order; what has the last name is there after all others.

    Args:
        moves: Files or folders, each with its name, on the same file system; folders of the names
            are made if missing. A file that has a name already is replaced; of folders, empty ones.
        lasting: All bytes are on the disk before the first name is.

    Raises:
        OSError: Something cannot be flushed or renamed; those before it have their names.
    """
    if lasting:
        flush([draft for draft, _ in moves])
    for draft, path in moves:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(path)
    if lasting:
        flush_folders(path.parent for _, path in moves)


def flush(paths: Iterable[Path]) -> None:
    """Have files, and folders with all that is in them, survive a loss of power.

    Raises:
        OSError: The disk is full, or fails.
    """
    files, folders = [], []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        for place, _, names in os.walk(path):
            folders.append(Path(place))
            files += [Path(place, name) for name in names]
    if len(files) < 2:
        for file in files:
            _flush_file(file)
    else:
        with ThreadPoolExecutor(min(_THREADS, len(files))) as pool:
            list(pool.map(_flush_file, files))
    flush_folders(folders)


def flush_folders(folders: Iterable[Path]) -> None:
    """Have the names in folders survive a loss of power, where the system can do that."""
    for folder in dict.fromkeys(folders):
        with suppress(OSError):  # Windows, and some network drives, do not open folders
            _flush_descriptor(os.open(folder, os.O_RDONLY))


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error for a file that the system refuses to write."""
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}); "
        "choose a folder that can be written and has room"
    )


def _flush_file(path: Path) -> None:
    _flush_descriptor(os.open(path, _FLAGS))


def _flush_descriptor(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _claim_name(draft: Path, path: Path) -> bool:
    """Give a file a name that nothing has; returns False where something has it."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except (OSError, NotImplementedError):  # a file system that knows one name for a file
        if os.path.lexists(path):
            return False
        draft.rename(path)
    return True
