"""Files of runs that a server keeps, fetched once to this machine, and not without bound."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tiledseg.data.cache import default_cache_folder
from tiledseg.errors import OutputError

logger = logging.getLogger(__name__)

MOST_BYTES = 8 * 2**30
"""Together; beyond it, those that were not used for longest are removed."""
KEPT_SECONDS = 3600.0
"""What was used so recently is never removed: somebody may be looking at it."""
PAUSE_SECONDS = 60.0
"""How long to wait before the files are counted again."""
_COUNTED = ".counted"
_FETCHING = ".fetching-"


def find_cached_folder() -> Path:
    """Where fetched files lie, by the ids of their runs."""
    return default_cache_folder() / "runs"


@contextmanager
def fetching() -> Iterator[Path]:
    """An empty folder to fetch into, on the disk of ``find_cached_folder``; removed afterwards.

    Raises:
        OutputError: It cannot be made.
    """
    home = find_cached_folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix=_FETCHING, dir=home, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            f"{home}: files of runs cannot be kept there ({error.strerror}); point "
            "TILEDSEG_CACHE at a folder that can be written and has room"
        ) from error
    with folder as place:
        yield Path(place)


def keep(file: Path, place: Path) -> None:
    """Give a fetched file its place, in one step: a reader never meets half of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    file.replace(place)
    _bound_size(find_cached_folder())


def mark_used(place: Path) -> None:
    """Note that a file is of use."""
    with suppress(OSError):  # a folder that can only be read is as good
        os.utime(place)


def _bound_size(home: Path) -> None:
    """Remove what is too much, if that was not looked at just now."""
    now, mark = time.time(), home / _COUNTED
    with suppress(FileNotFoundError):
        if now - mark.stat().st_mtime < PAUSE_SECONDS:
            return
    mark.touch()
    found = []
    for path in home.rglob("*"):
        with suppress(OSError):  # another process removes, too
            if path.is_file() and path != mark:
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in found)
    for moment, size, path in sorted(found):
        if total <= MOST_BYTES or now - moment < KEPT_SECONDS:
            return
        with suppress(OSError):
            path.unlink()
            logger.info("removed %s, fetched from a server and not used since", path)
            total -= size
