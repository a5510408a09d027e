"""A standard MLflow server on this machine, which may be stopped and started again."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests


class MlflowServer:
    """``mlflow server`` on SQLite, which keeps the files of runs itself.

    Args:
        folder: Of its database, which may be there already, and its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, "--backend-store-uri", "sqlite:///mlflow.db"],
            cwd=self.folder,
            env={**os.environ, "MLFLOW_TRACKING_URI": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        for _ in range(600):
            try:
                requests.get(f"{self.address}/health", timeout=1)
            except requests.RequestException:
                assert self._process.poll() is None
                time.sleep(0.1)
            else:
                return
        raise AssertionError("the server does not answer")

    def stop(self) -> None:
        """Stop it with all that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, 15)
            self._process.wait(30)
            self._process = None
