"""One small store and one server for all tests of the dashboard."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow
import pytest
from dashboard_server import Server, start_server, stop_server

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


@pytest.fixture(scope="session")
def server(store: Store) -> Iterator[Server]:
    running = start_server(store.environment, store.folder)
    yield running
    stop_server(running)
