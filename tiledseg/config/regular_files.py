"""Files that users name, opened so that nothing waits for ever and nothing is read without end."""

import errno
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

MOST_TEXT_BYTES = 64 * 2**20
"""Of a file that is read as text: tables, states, metadata."""
MOST_SETTINGS_BYTES = 100_000
"""Of a file of settings in YAML, which is read at 20 kB a second; real ones have a few."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFIFO: "it is a pipe, not a file",
    stat.S_IFSOCK: "it is a socket, not a file",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
}


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read its bytes; a pipe, which would wait for its writer, is refused.

    Raises:
        OSError: It is no regular file, or cannot be read; ``strerror`` says why.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        if path.exists():  # a socket cannot be opened
            require_regular(path)
        raise
    try:
        _require_regular(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def require_regular(path: Path) -> None:
    """Check a file that another library opens by its name.

    Raises:
        OSError: It is no regular file; ``strerror`` says what it is.
    """
    _require_regular(path.stat().st_mode)


def require_free_or_regular(path: Path) -> None:
    """Check the place of a file that is about to be written, or to be added to.

    Raises:
        OSError: Something else than a file lies there; ``strerror`` says what it is.
    """
    if os.path.lexists(path):
        require_regular(path)


def read_bytes(path: Path, most: int = MOST_TEXT_BYTES) -> bytes:
    """Read a small file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: It is no regular file, is larger, or cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
        if len(content) > most:
            size = os.fstat(file.fileno()).st_size
            raise OSError(
                errno.EFBIG, f"it has {size / 1e6:.1f} MB, and at most {most / 1e6:.2g} are read"
            )
    return content


def read_text(path: Path, most: int = MOST_TEXT_BYTES) -> str:
    """Read a small file of text in UTF-8.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: As for ``read_bytes``.
        UnicodeDecodeError: It is no such text.
    """
    return read_bytes(path, most).decode()


def read_json(path: Path) -> Any:
    """Read a small file of JSON.

    Raises:
        OSError: As for ``read_bytes``.
        ValueError: It is no JSON.
    """
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: It is none, or its lists lie in each other too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists or sections lie in each other too deeply") from None


def _require_regular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, _KINDS.get(stat.S_IFMT(mode), "it is no regular file"))
