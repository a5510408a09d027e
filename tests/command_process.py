"""Commands in processes of their own, to be killed. Run by a fork server that knows Keras.

A process that is forked begins its command at once, where a fresh one loads TensorFlow for seconds.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fork_server import start_forked
from small_disk import enter_namespaces

PRELOADED = (
    "tiledseg.__main__",
    "tiledseg.cli",
    "tiledseg.data.prepare.prepare",
    "tiledseg.data.published.convert",
    "tiledseg.prediction.files",
    "tiledseg.tracking.registry",
    "matplotlib.backends.backend_agg",
)


def start_command(
    words: Sequence[str],
    folder: Path,
    log: Path,
    patches: Mapping[str, Any] | None = None,
    inside: int = 0,
    environment: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Begin ``tiledseg WORDS`` with this process' environment.

    Args:
        words: Of the command.
        folder: Where it works.
        log: Gets what it says.
        patches: Constants of modules, as ``MODULE:NAME``, and their values there.
        inside: A process whose disks it sees; see ``small_disk``.
        environment: What is other than here.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    changed = {**os.environ, **(environment or {})}
    arguments = (list(words), folder, log, changed, dict(patches or {}), inside)
    return start_forked(_run, arguments, [*PRELOADED, __name__])


def end_command(process: BaseProcess, seconds: float = 240.0) -> int:
    """Wait for a command; returns its exit code, or ends it and fails."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"the command took longer than {seconds} s")
    return int(process.exitcode or 0)


def kill_command(process: BaseProcess, seconds: float) -> bool:
    """Kill a command after some time; returns False where it was quicker."""
    process.join(seconds)
    was_running = process.is_alive()
    process.kill()
    process.join()
    return was_running and process.exitcode == -signal.SIGKILL


def _run(
    words: list[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
    patches: Mapping[str, Any],
    inside: int,
) -> None:
    if inside:
        enter_namespaces(inside)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None  # what the fork server had chosen
    with log.open("ab", buffering=0) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    for place, value in patches.items():
        module, _, name = place.partition(":")
        __import__(module)
        setattr(sys.modules[module], name, value)
    sys.argv = ["tiledseg", *words]
    from tiledseg.__main__ import main

    main()
