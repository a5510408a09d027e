"""Runs a trial in a process of its own, and limits its time and memory."""

import contextlib
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tiledseg.data.scratch import open_scratch
from tiledseg.tracking.names import INTERRUPTED
from tiledseg.tuning.execution.channel import Channel, Message
from tiledseg.tuning.execution.outcome import Outcome
from tiledseg.tuning.execution.resources import change_environment, measure_memory

COMMAND = (sys.executable, "-m", "tiledseg.tuning.execution.trial_main")
_GLANCE_SECONDS = 0.5
_LEAVE_SECONDS = 30.0
"""How long a process may take to close its run when it is to stop."""
_LOG_LINES = 40
_OUTCOMES = {"epoch": "pruned", "built": "infeasible"}
"""Outcome of a trial that is stopped at an event."""


@dataclass(frozen=True)
class TrialLimits:
    """What a trial may take of this machine."""

    seconds: float
    """Wall time, from the start of its process."""
    memory_gb: float
    """Memory in 10**9 bytes."""


@dataclass(frozen=True)
class EpochEnd:
    """An epoch of a trial, at its end."""

    epoch: int
    """From 1."""
    metrics: Mapping[str, float]
    is_last: bool
    """Whether the trial has all its epochs; time may end it before."""


class TrialProcess:
    """Runs one request and watches it.

    Args:
        request: What ``trial_main`` reads.
        limits: Time and memory.
        environment: Variables beyond those of this process; None removes one.
        command: The program.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        limits: TrialLimits,
        environment: Mapping[str, str | None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._request, self._limits = request, limits
        self._environment, self._command = environment, command
        self._epochs = 0
        self._parameters: int | None = None
        self._peak = 0.0
        self._stop = threading.Event()

    def run(
        self,
        on_epoch: Callable[[EpochEnd], str],
        on_built: Callable[[int], str] = lambda _: "",
        stop: threading.Event | None = None,
    ) -> Outcome:
        """Run to the end.

        Args:
            on_epoch: Told every epoch that ended; answers with the reason to prune, or with
                nothing to go on.
            on_built: Told the number of weights; answers with why that is too much.
            stop: Set when the trial should end at once.

        Returns:
            How it ended; ``on_epoch``'s errors come out as they are, the process ended.
        """
        began = time.monotonic()

        def report_epoch(message: Message) -> str:
            self._epochs = message["epoch"]
            return on_epoch(
                EpochEnd(message["epoch"], message["metrics"], is_last=message["is_last"])
            )

        def report_size(message: Message) -> str:
            self._parameters = message["parameters"]
            return on_built(message["parameters"])

        self._stop = stop or self._stop
        answers = {"epoch": report_epoch, "built": report_size}
        with (
            open_scratch("trial") as place,
            tempfile.TemporaryFile() as log,
        ):
            process = self._start(place, log)
            try:
                final = self._watch(process, answers)
            finally:
                kill_process(process)
            log.seek(0)
            text = log.read().decode(errors="replace")
        final = final or _explain_death(process.returncode, text)
        return Outcome(
            kind=final["outcome"],
            reason=final.get("reason", ""),
            metrics=final.get("metrics", {}),
            epochs=self._epochs,
            parameters=self._parameters,
            peak_memory_gb=self._peak,
            seconds=time.monotonic() - began,
            busy_seconds=final.get("busy_seconds", 0.0),
            log="\n".join(text.splitlines()[-_LOG_LINES:]),
        )

    def _start(self, place: Path, log: Any) -> "subprocess.Popen[bytes]":
        changes = {"TILEDSEG_STATE": str(place / "state"), **self._environment}
        return subprocess.Popen(
            self._command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=change_environment(changes),
            start_new_session=True,  # Ctrl-C is for the sweep, which ends its trials itself
        )

    def _watch(
        self, process: "subprocess.Popen[bytes]", answers: Mapping[str, Callable[[Message], str]]
    ) -> dict[str, Any] | None:
        """Answer events until the end; None when the process died without a last message."""
        channel = Channel.to_child(process)
        channel.send(self._request)
        deadline = time.monotonic() + self._limits.seconds
        outcome: dict[str, Any] | None = None
        while True:
            excess = self._check_limits(process, deadline)
            if excess:
                return outcome or excess
            try:
                message = channel.receive(timeout=_GLANCE_SECONDS)
            except queue.Empty:
                continue
            if message is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LEAVE_SECONDS)
                return outcome
            if message["event"] not in answers:
                return outcome or _read_outcome(message)
            reason = answers[message["event"]](message)
            channel.send({"go_on": not reason})
            if reason:
                outcome = {"outcome": _OUTCOMES[message["event"]], "reason": reason}
                deadline = time.monotonic() + _LEAVE_SECONDS

    def _check_limits(
        self, process: "subprocess.Popen[bytes]", deadline: float
    ) -> dict[str, Any] | None:
        with contextlib.suppress(psutil.Error):
            self._peak = max(self._peak, measure_memory(psutil.Process(process.pid)))
        if self._stop.is_set():
            return {"outcome": INTERRUPTED, "reason": "the sweep was stopped"}
        if self._peak > self._limits.memory_gb:
            reason = (
                f"out of memory: {self._peak:.1f} GB, and a trial may take "
                f"{self._limits.memory_gb:.1f} GB"
            )
            return {"outcome": "memory", "reason": reason}
        if time.monotonic() > deadline:
            reason = f"out of time: a trial may take {self._limits.seconds / 60:.1f} minutes"
            return {"outcome": "time", "reason": reason}
        return None


def kill_process(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and all that it started, unless it has ended."""
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            started = psutil.Process(process.pid).children(recursive=True)
            for one in started:
                with contextlib.suppress(psutil.Error):
                    one.kill()
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()


def _read_outcome(message: Message) -> dict[str, Any] | None:
    if message["event"] == "ended":
        return {**message, "outcome": "complete"}
    if message["event"] == "failed":
        return message
    return {"outcome": "killed", "reason": "ended from outside"}


def _explain_death(code: int, log: str) -> dict[str, Any]:
    """The outcome of a process that ended without a last message."""
    if code < 0:
        reason = f"killed by signal {-code}"
        if code == -9:
            reason += " (by a person, or by the system when memory ran out)"
        return {"outcome": "killed", "reason": reason}
    lines = [line for line in log.splitlines() if line.strip()]
    last = lines[-1].strip()[:300] if lines else "nothing was written"
    return {"outcome": "error", "reason": f"ended with code {code}: {last}"}
