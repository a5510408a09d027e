"""A folder's disk quota: what was used the longest ago makes room for what is new.

The last use of a file or folder is its time of modification, which a reader renews.
"""

import logging
import math
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tiledseg.errors import TiledsegError

ABANDONED_SECONDS = 3600.0
"""A draft that nobody has written to for so long is of a process that was killed."""

logger = logging.getLogger(__name__)


def read_quota(variable: str, default: str) -> int:
    """A quota from an environment variable, which holds gigabytes.

    Args:
        variable: Its name.
        default: What holds where it is not set, such as ``8``.

    Returns:
        Bytes.

    Raises:
        TiledsegError: It is no number above 0.
    """
    text = os.environ.get(variable, default)
    try:
        most = float(text) * 2**30
    except ValueError:
        most = math.nan
    if not 0 < most < math.inf:
        raise TiledsegError(f"{variable}={text!r} is no number of GB; give one above 0, such as 8")
    return int(most)


def free_space(
    entries: Iterable[Path], most: int, *, keep: Path | None = None, keep_seconds: float = 0.0
) -> None:
    """Remove entries, those used the longest ago first, until the rest takes ``most`` bytes.

    An entry that cannot be read or removed is passed over: another process removes, too.

    Args:
        entries: Files, and folders that are removed as a whole.
        most: Bytes that all of them may take.
        keep: One of them, which stays.
        keep_seconds: What was used so recently stays, too.
    """
    now = time.time()
    found: list[tuple[float, int, Path]] = []
    for entry in entries:
        with suppress(OSError):
            found.append((entry.stat().st_mtime, measure_size(entry), entry))
    total = sum(size for _, size, _ in found)
    for used, size, entry in sorted(found):
        if total <= most or now - used < keep_seconds:
            return
        if entry != keep and _remove(entry):
            logger.info("removed %s, unused for the longest time", entry)
            total -= size


def remove_abandoned(drafts: Iterable[Path]) -> None:
    """Remove the files and folders that nobody has written to for ``ABANDONED_SECONDS``."""
    for draft in drafts:
        with suppress(OSError):
            written = max(path.stat().st_mtime for path in (draft, *list_files(draft)))
            if time.time() - written > ABANDONED_SECONDS:
                _remove(draft)


def list_files(folder: Path) -> Iterator[Path]:
    """All files below a folder; what another process removes meanwhile is passed over."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def measure_size(entry: Path) -> int:
    """Bytes of a file, or of all files in a folder.

    What another process removes meanwhile counts as nothing in a folder.

    Raises:
        OSError: The file cannot be read.
    """
    if not entry.is_dir():
        return entry.stat().st_size
    total = 0
    for file in list_files(entry):
        with suppress(OSError):
            total += file.stat().st_size
    return total


def _remove(entry: Path) -> bool:
    """Remove a file or a folder; whether it is gone."""
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink()
    return not entry.exists()
