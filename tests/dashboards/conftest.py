"""One small store and one server for all tests of the dashboard."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow
import pytest

HERE = Path(__file__).parent


class Store(NamedTuple):
    """A store with two model versions, a study and an open run."""

    folder: Path
    environment: dict[str, str]
    good: str
    """Run of version 1, the better one."""
    poor: str
    """Run of version 2, which is champion at first."""

    def visit(self, patch: pytest.MonkeyPatch) -> None:
        """Make it this process's store."""
        for name, value in self.environment.items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(self.environment["MLFLOW_TRACKING_URI"])


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    ready = os.environ.get("TILEDSEG_TEST_STORE")  # for whoever works on the pages
    folder = Path(ready) if ready else tmp_path_factory.mktemp("dashboard")
    environment = {
        "TILEDSEG_DATA": str(folder / "data"),
        "TILEDSEG_CACHE": str(folder / "cache"),
        "TILEDSEG_STATE": str(folder / "state"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if not ready:
        done = subprocess.run(
            [sys.executable, str(HERE / "make_store.py"), str(folder)],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((folder / "told.json").read_text())
    return Store(folder, environment, told["good"], told["poor"])


@pytest.fixture
def empty_caches() -> Iterator[None]:
    """Tests have different stores in one process."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    import streamlit as st

    from dashboards.store import run_table

    st.cache_data.clear()
    st.cache_resource.clear()
    run_table.cache_clear()


@pytest.fixture
def at_store(store: Store, monkeypatch: pytest.MonkeyPatch, empty_caches: None) -> Store:
    """The test runs on the shared store."""
    store.visit(monkeypatch)
    return store


class Server(NamedTuple):
    """A dashboard that runs."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


def start_server(environment: dict[str, str], folder: Path, *more: str) -> Server:
    """``tiledseg dashboard`` on a free port; returns when it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / f"server-{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tiledseg", "dashboard", "--port", str(port), *more],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 180
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return Server(address, process, log)
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise AssertionError(log.read_text())


def stop_server(server: Server) -> None:
    """End it politely."""
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(store: Store) -> Iterator[Server]:
    running = start_server(store.environment, store.folder)
    yield running
    stop_server(running)
