"""What can go wrong that a user can mend.

Every message says what was wrong, with the value and the place, and what to do.

    TiledsegError
    +-- ExperimentError     a YAML, a key in it, or a --set override
    +-- DatasetError        a dataset on disk: layout, pairing, splits, masks
    +-- ImageError          one image or mask file
    +-- TilingError         geometry of tiles, or a model that cannot be tiled exactly
    +-- TrainingError       a training that cannot go on (loss is not a number, nothing to resume)
    +-- StoppedError        the user or the system asked the program to stop
    +-- OutputError         a folder or file that cannot be written, or would be overwritten
    +-- TrackingError       the MLflow tracking server or store
    |   +-- StoreAwayError  a run is done, but the store has not taken all of it yet
    |   +-- RegistryError   a registered model, version or alias
    +-- SweepError          a search space or study
    +-- FormatError         a run, study or model of another version of tiledseg
    +-- BackendError        a backend of Keras that nothing here can compute with
"""

import errno
import os

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space left, a quota that is used up, a file that has reached its limit."""
_FULL_TEXTS = (*map(os.strerror, _FULL), "database or disk is full")
"""Other libraries pass on the words alone; the last are SQLite's."""


class TiledsegError(Exception):
    """Base of all errors that the command line shows as one line."""

    exit_code = 1
    """What the command line ends with."""


class ExperimentError(TiledsegError):
    """A configuration value is unknown, of the wrong type, or impossible."""


class DatasetError(TiledsegError):
    """A dataset is missing, incomplete, or unsound to train on."""


class ImageError(TiledsegError):
    """An image or mask file cannot be read."""


class TilingError(TiledsegError):
    """An image and a model do not go together in the tiling asked for."""


class TrainingError(TiledsegError):
    """A training cannot go on."""


class StoppedError(TiledsegError):
    """The user or the system asked the program to stop, and everything is saved."""

    exit_code = 130


class OutputError(TiledsegError):
    """Something cannot be written where it was asked for."""


class TrackingError(TiledsegError):
    """The MLflow store cannot be used."""


class StoreAwayError(TrackingError):
    """A run is done, but the store has not taken all of it yet."""

    exit_code = 75
    """Of ``sysexits.h``: try again later."""


class RegistryError(TrackingError):
    """A registered model, version or alias cannot be used."""


class SweepError(TiledsegError):
    """A search space or a study cannot be used."""


class FormatError(TiledsegError):
    """A run, a study or a model was written by another version, in a form that is not read."""


class BackendError(TiledsegError):
    """Keras has been told to compute with something else than TensorFlow or JAX."""


def one_line(error: Exception) -> str:
    """What another library says, short enough for the middle of a message of ours."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an error, also where another library has wrapped it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(text in str(error) for text in _FULL_TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_disk_fault(error: OSError) -> bool:
    """Whether a disk that is full, or that nobody may write to, is behind an error."""
    return error.errno in (*_FULL, errno.EROFS, errno.EACCES, errno.EPERM)
