"""Datasets that are being written, or were broken off: never taken for the whole.

    FOLDER/.unfinished/          while files are missing: drafts, what is done, the command
    FOLDER/spec.json             what it is made of
    FOLDER/manifest.csv          every file; the last to come

A dataset is written where it will lie, which may be a mounted drive or a link to one, and can be
gone on with. So what is unfinished has the dataset's name, and readers ask here.
"""

from pathlib import Path
from typing import Any

from tiledseg.config.regular_files import read_json, read_text
from tiledseg.errors import DatasetError

SPEC, MANIFEST, UNFINISHED = "spec.json", "manifest.csv", ".unfinished"
COMMAND = "command.txt"
"""In ``UNFINISHED``: how to go on."""
_OURS = ("source_digest", "published")
"""Our specs have one of these; other programs write a ``spec.json``, too."""


def is_unfinished(folder: Path) -> bool:
    """Whether tiledseg has begun to write a dataset, and not all of it is there."""
    if (folder / MANIFEST).is_file():
        return False
    return (folder / UNFINISHED).is_dir() or any(key in _read_spec(folder) for key in _OURS)


def require_finished(folder: Path) -> None:
    """Refuse a dataset that is unfinished, with the command that goes on.

    Raises:
        DatasetError: It is unfinished.
    """
    if not is_unfinished(folder):
        return
    try:
        command = read_text(folder / UNFINISHED / COMMAND).strip()
    except (OSError, ValueError):
        command = ""
    how = f"`{command}`" if command else "the command that began it"
    raise DatasetError(
        f"{folder} is unfinished: not all of its images are there; {how} goes on with it, or says "
        "which process is writing it"
    )


def _read_spec(folder: Path) -> dict[str, Any]:
    try:
        spec = read_json(folder / SPEC)
    except (OSError, ValueError):
        return {}
    return spec if isinstance(spec, dict) else {}
