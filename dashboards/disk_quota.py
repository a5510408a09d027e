"""Room on disk for the pyramids: how much, and who goes when there is none."""

import math
import shutil
import time
from contextlib import suppress
from pathlib import Path

from tiledseg.errors import TiledsegError

LIMIT_VARIABLE = "TILEDSEG_DASHBOARD_CACHE_GB"
"""Variable with the room for pyramids on disk, in GB."""
DRAFT_SECONDS = 3600.0
"""A draft that nobody has written to for so long is of a server that was killed."""


def size_limit(text: str) -> int:
    """Bytes for pyramids, from what ``LIMIT_VARIABLE`` says.

    Raises:
        TiledsegError: It is no number of GB.
    """
    try:
        room = float(text) * 2**30
    except ValueError:
        room = math.nan
    if not 0 < room < math.inf:
        raise TiledsegError(
            f"{LIMIT_VARIABLE}={text!r} is no number of GB; give one above 0, such as 8"
        )
    return int(room)


def free_space(home: Path, keep: Path, most: int) -> None:
    """Remove the pyramids that were opened the longest ago, until the rest has room.

    Drafts of servers that were killed go first. Whatever another thread or server removes
    meanwhile makes room as well.

    Args:
        home: Folder of pyramids, one folder each.
        keep: One of them, which stays.
        most: Bytes that all of them may take.
    """
    pyramids: list[tuple[float, int, Path]] = []
    for folder in home.iterdir():
        with suppress(OSError):
            used = folder.stat().st_mtime
            size = sum(file.stat().st_size for file in folder.iterdir())
            if not folder.name.startswith("."):
                pyramids.append((used, size, folder))
            elif time.time() - used > DRAFT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
    spare = sum(size for _, size, _ in pyramids) - most
    for _, size, folder in sorted(pyramids):
        if spare <= 0:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            spare -= size
