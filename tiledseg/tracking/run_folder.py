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
    with atomic_file(folder / _STORE) as file:
        file.write(address.encode())


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
        raise OutputError(
            f"{folder}: checkpoints cannot be written there ({error.strerror}); set "
            "TILEDSEG_STATE to a folder that can be written"
        ) from error
    return folder
