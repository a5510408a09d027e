"""Files of runs that were fetched from a server, kept on this machine within a disk quota."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tiledseg.data.cache import default_cache_folder
from tiledseg.data.disk_quota import free_space, list_files, remove_abandoned
from tiledseg.errors import OutputError
from tiledseg.images.atomic import give_names

MOST_BYTES = 8 * 2**30
"""Of all files; beyond it, those that were used the longest ago are removed."""
KEPT_SECONDS = 3600.0
"""What was used so recently is never removed: somebody may be looking at it."""
PAUSE_SECONDS = 60.0
"""How long to wait before the files are measured again."""
_CHECKED = ".checked"
_FETCHING = ".fetching-"


def run_cache_folder() -> Path:
    """Where fetched files lie, by the ids of their runs."""
    return default_cache_folder() / "runs"


@contextmanager
def open_fetch_folder() -> Iterator[Path]:
    """Make an empty folder to fetch into, on the disk of ``run_cache_folder``; removed afterwards.

    Raises:
        OutputError: It cannot be made.
    """
    home = run_cache_folder()
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
    give_names([(file, place)])
    _free_space(run_cache_folder())


def mark_used(place: Path) -> None:
    """Renew the time of a file's last use."""
    with suppress(OSError):  # the folder may be read-only
        os.utime(place)


def _free_space(home: Path) -> None:
    """Remove files beyond the quota, unless that was done just now."""
    mark = home / _CHECKED
    with suppress(FileNotFoundError):
        if time.time() - mark.stat().st_mtime < PAUSE_SECONDS:
            return
    mark.touch()
    folders = [path for path in home.iterdir() if path.is_dir()]
    remove_abandoned(path for path in folders if path.name.startswith(_FETCHING))
    runs = (path for path in folders if not path.name.startswith(_FETCHING))
    files = (file for run in runs for file in list_files(run))
    free_space(files, MOST_BYTES, keep_seconds=KEPT_SECONDS)
