"""Starts the workers of one machine, restarts those that fail, and ends them."""

import dataclasses
import logging
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO, Self

from tiledseg.errors import SweepError
from tiledseg.tracking.sweeps import environment_for
from tiledseg.tuning.execution.channel import Channel
from tiledseg.tuning.execution.resources import change_environment
from tiledseg.tuning.execution.trial_process import kill_process
from tiledseg.tuning.execution.worker_options import WorkerOptions

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "tiledseg.tuning.execution.worker")
PAUSES = (0.0, 10.0, 60.0, 300.0, 900.0)
"""Seconds before a worker that failed is started again; after the last one it is given up."""
LEAVE_SECONDS = 60.0
"""How long workers may take to end their trials when they are to stop."""


class WorkerPool:
    """Workers; use it as a context manager, and they are ended with it.

    Args:
        options: For all of them; ``session.workers`` says how many.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._members = [
            _Member(dataclasses.replace(options, worker=number))
            for number in range(options.session.workers)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for member in self._members:
            member.ask_to_stop()
        deadline = time.monotonic() + LEAVE_SECONDS
        for member in self._members:
            member.wait_for_end(deadline)

    def keep_running(self) -> bool:
        """Start those that should run and do not; False when all are done.

        Raises:
            SweepError: All that are left were given up.
        """
        states = {member.poll() for member in self._members}
        if "working" in states:
            return True
        if "done" not in states:  # one that is done has seen that the study is
            reasons = dict.fromkeys(m.reason for m in self._members if m.reason)
            raise SweepError(f"no worker can go on: {'; '.join(reasons)}; mend it and start again")
        return False


class _Member:
    """One worker, in one process after the other."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in wait_for_end
        self._failures = 0
        self._due = 0.0
        self._began = 0.0
        self._state = "working"
        self.reason = ""

    def poll(self) -> str:
        """Start the worker if that is due; returns working, done or failed."""
        if self._state != "working":
            return self._state
        if self._process is None:
            if time.monotonic() >= self._due:
                self._start()
        elif self._process.poll() is not None:
            self._note_end(self._process.returncode)
        return self._state

    def ask_to_stop(self) -> None:
        """Close the pipe that the worker reads."""
        if self._channel is not None:
            self._channel.close()

    def wait_for_end(self, deadline: float) -> None:
        """Wait until the deadline, then kill."""
        if self._process is not None:
            try:
                self._process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("a worker did not leave in time and is killed")
            kill_process(self._process)
        self._log.close()

    def _start(self) -> None:
        self._log.seek(0)
        self._log.truncate()
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            COMMAND,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=change_environment(environment_for(None)),
            start_new_session=True,
        )
        self._channel = Channel.to_child(self._process)
        self._channel.send(self._options.to_message())

    def _note_end(self, code: int) -> None:
        assert self._process is not None
        kill_process(self._process)
        self._process = None
        if code == 0:
            self._state = "done"
            return
        self.reason = self._explain_end(code)
        if time.monotonic() - self._began > 10 * PAUSES[-1]:
            self._failures = 0  # it worked for hours: not the same failure again
        if self._failures == len(PAUSES):
            self._state = "failed"
            return
        pause = PAUSES[self._failures]
        self._failures += 1
        self._due = time.monotonic() + pause
        logger.warning("a worker ended (%s); a new one starts in %.0f s", self.reason, pause)

    def _explain_end(self, code: int) -> str:
        if code < 0:
            return f"killed by signal {-code}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"ended with code {code}"
