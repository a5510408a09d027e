"""One small store and one server for all tests of the dashboard."""

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import mlflow
import pytest
from dashboard_server import Server, start_server, stop_server
from store_folder import copy_store, environment_of, make_store


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a trained store is soak: the two trainings take a minute."""
    for item in items:
        if "made_store" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.soak)


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
def made_store(made_once: Callable[..., Path], mlflow_tables: Path) -> Path:
    """A store that is made once, whatever the number of pytest's workers."""
    ready = os.environ.get("TILEDSEG_TEST_STORE")  # for whoever works on the pages
    if ready:
        return Path(ready)

    def fill(folder: Path) -> None:
        shutil.copy(mlflow_tables, folder / "mlflow.db")
        make_store(folder)
        assert (folder / "made").exists(), (folder / "log.txt").read_text()

    return made_once("dashboard-store", fill)


@pytest.fixture(scope="session")
def store(made_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A copy of it, which tests of one worker share."""
    folder = tmp_path_factory.mktemp("dashboard") / "store"
    copy_store(made_store, folder)
    told = json.loads((folder / "told.json").read_text())
    gc.collect()
    gc.freeze()  # Streamlit collects garbage after every look at a page
    return Store(folder, environment_of(folder), told["good"], told["poor"])


@pytest.fixture
def empty_caches() -> Iterator[None]:
    """Tests have different stores in one process."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    import streamlit as st

    from dashboards.run_table import run_table

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
