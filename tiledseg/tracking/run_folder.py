"""What a run keeps on this machine until it has ended well."""

import os
from pathlib import Path

import platformdirs

from tiledseg.errors import OutputError


def state_home() -> Path:
    """Where runs keep their files until they have ended well: ``TILEDSEG_STATE``, or the user's."""
    return Path(os.environ.get("TILEDSEG_STATE") or platformdirs.user_state_dir("tiledseg"))


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
