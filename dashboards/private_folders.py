"""Where the images of visitors lie, with all that is made of them, and nothing else of this server.

One folder of mode 0700 holds them all. It goes with the server's process; what one that was killed
has left is removed when the next one starts. A visitor's own folder goes with the visit. What was
still being written then is removed by whoever was writing it.
"""

import atexit
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from tiledseg.data.scratch import ScratchFolder

_open: set[Path] = set()
"""Of visitors who are there."""


def make_folder() -> Path:
    """A folder of mode 0700 for a visitor."""
    folder = Path(tempfile.mkdtemp(dir=home()))
    _open.add(folder)
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a visitor's folder; what is still written into it goes by ``settle``."""
    _open.discard(folder)
    shutil.rmtree(folder, ignore_errors=True)


def find_folder(path: Path) -> Path | None:
    """The folder of the visitor whom a file belongs to; None where it is nobody's."""
    if not home.cache_info().currsize or not path.is_relative_to(home()):
        return None
    return home() / path.relative_to(home()).parts[0]


def settle(path: Path) -> None:
    """After files of a visitor were written: let their owner alone read them, or nobody any more.

    Args:
        path: One of them; where it belongs to no visitor, nothing is done.
    """
    folder = find_folder(path)
    if folder is None:
        return
    if folder not in _open:
        shutil.rmtree(folder, ignore_errors=True)
        return
    # Not rglob: what others rename meanwhile would end it. They look after that themselves.
    for place, folders, files in os.walk(folder):
        for names, mode in ((folders, 0o700), (files, 0o600)):
            for name in names:
                with suppress(FileNotFoundError):
                    _restrict(Path(place, name), mode)


def _restrict(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) != mode:  # else a file would count as changed
        path.chmod(mode)


@cache
def home() -> Path:
    """The folder of all; made, and freed of what killed servers left, at the first call."""
    folder = ScratchFolder("uploads")
    atexit.register(folder.close)
    return folder.path
