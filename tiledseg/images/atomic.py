"""Files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tiledseg.errors import OutputError


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when it is complete.

    The bytes go to a hidden temporary file in the same folder (made if missing), which then
    replaces ``path`` in one step. A reader, or a crash, never meets half a file.

    Args:
        path: The file to write.

    Yields:
        The temporary file, open for binary writing.

    Raises:
        OutputError: The folder cannot be made, or the file cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); "
            "choose a folder that can be written and has room"
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
