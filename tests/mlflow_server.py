"""A standard MLflow server on this machine, which may be stopped and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import requests


def find_free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class MlflowServer:
    """``mlflow server``: on SQLite, with the files of runs beside it, unless told otherwise.

    Args:
        folder: Where it works; of its database, which may be there already, and its files.
        command: Starts another one.
        address: Where that one answers.
        certificate: Of the address.
        environment: Of that command.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = (),
        *,
        address: str = "",
        certificate: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._verify = str(certificate) if certificate else True
        port = find_free_port()
        self.address = address or f"http://127.0.0.1:{port}"
        words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        own = [sys.executable, "-m", "mlflow", *words, "--backend-store-uri", "sqlite:///mlflow.db"]
        self._command = command or own
        without_jobs = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven processes
        self._environment = environment or {**os.environ, "MLFLOW_TRACKING_URI": "", **without_jobs}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            self._command,
            cwd=self.folder,
            env=self._environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        log.close()
        for _ in range(900):
            try:
                requests.get(f"{self.address}/health", timeout=1, verify=self._verify)
            except requests.RequestException:
                assert self._process.poll() is None, self.read_log()
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"the server does not answer: {self.read_log()}")

    def stop(self) -> None:
        """Stop it with all that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(30)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process = None

    def start_again(self) -> None:
        """Start it if it is stopped."""
        if self._process is None:
            self.start()

    def read_log(self) -> str:
        """What it wrote."""
        return (self.folder / "server.log").read_text(errors="replace")
