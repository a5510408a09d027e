"""Loading Keras and its backend, without their messages and their unused packages."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from tiledseg.errors import BackendError

BACKENDS = ("tensorflow", "jax")
_UNUSED = ("matplotlib", "sklearn")
"""What Keras imports where it is installed, for plots and wrappers that nothing here uses."""


def load_backend() -> None:
    """Import Keras; what its backend writes to standard error is shown only if that fails.

    TensorFlow 2.21 reports on CPU features and missing GPUs before its own log level applies,
    so the file descriptor is turned aside while it is imported.

    Raises:
        BackendError: Keras has been told to use a backend that nothing here can compute with.
    """
    if "keras" in sys.modules:
        find_loaded_backend()
        return
    _check(*_choose_backend())
    sys.stderr.flush()
    with tempfile.TemporaryFile() as chatter:
        standard_error = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            with _hide(_list_unused()):
                import_module("keras")
        except BaseException:
            chatter.seek(0)
            os.write(standard_error, chatter.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)


def find_loaded_backend() -> str:
    """The backend of Keras, which has been imported: ``tensorflow`` or ``jax``.

    Raises:
        BackendError: It is another one.
    """
    backend = str(import_module("keras").config.backend())
    _check(backend, "Keras' backend")
    return backend


def _check(backend: str, place: str) -> None:
    if backend not in BACKENDS:
        raise BackendError(
            f"{place} is {backend!r}, and tiledseg computes with {' or '.join(BACKENDS)}; set the "
            f"environment variable KERAS_BACKEND={BACKENDS[0]}"
        )


def _list_unused() -> tuple[str, ...]:
    """Packages that Keras and TensorFlow load without need; they take a third of the time."""
    return (*_UNUSED, "jax") if _choose_backend()[0] == "tensorflow" else _UNUSED


def _choose_backend() -> tuple[str, str]:
    """What Keras will choose, and what says so: a variable, else its file, else TensorFlow."""
    named = os.environ.get("KERAS_BACKEND")
    if named:
        return named, "KERAS_BACKEND"
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        return str(settings["backend"]), f"the backend in {file}"
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow", "Keras' own choice"


@contextmanager
def _hide(packages: tuple[str, ...]) -> Iterator[None]:
    """Make packages look as if they were not installed, unless they are loaded already."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
