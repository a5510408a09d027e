"""What a run keeps on this machine until it has ended well."""

import os
from pathlib import Path

import platformdirs

from tiledseg.errors import OutputError
from tiledseg.images.atomic import atomic_file

_STORE = "store.txt"


def state_home() -> Path:
    """Where runs keep their files until they have ended well: ``TILEDSEG_STATE``, or the user's."""
    return Path(os.environ.get("TILEDSEG_STATE") or platformdirs.user_state_dir("tiledseg"))


def note_store(folder: Path, address: str) -> None:
    """Note in a run's folder which store the run is in.

    Args:
        folder: Of the run.
        address: Of the store, without its login.
    """
    keep_text(folder / _STORE, address)


def read_store(folder: Path) -> str:
    """Address of the store that a run is in, without its login; empty where none is noted."""
    try:
        return (folder / _STORE).read_text(encoding="utf-8")
    except OSError:
        return ""


def run_folder(run_id: str) -> Path:
    """A run's folder on this machine, made where it is missing.

    Raises:
        OutputError: It cannot be made.
    """
    folder = state_home() / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_keep(folder, error) from error
    return folder


def keep_text(path: Path, text: str) -> None:
    """Write a text file that a run keeps on this machine.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with atomic_file(path) as file:
            file.write(text.encode())
    except OutputError as error:
        raise OutputError(f"{error}; TILEDSEG_STATE names another one") from None


def cannot_keep(path: Path, error: OSError) -> OutputError:
    """The error for what a run cannot keep on this machine."""
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}); make room, or point "
        "TILEDSEG_STATE to a folder that can be written"
    )
