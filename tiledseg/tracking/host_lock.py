"""Locks between processes of one host, whatever folders they work in."""

import os
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock


def host_lock(name: str) -> FileLock:
    """A lock that all processes of a user share by a name.

    Args:
        name: What is locked: a run, a store.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"tiledseg-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    return FileLock(folder / f"{blake2b(name.encode(), digest_size=16).hexdigest()}.lock")
