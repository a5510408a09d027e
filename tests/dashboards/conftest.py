"""One small store, one server and one browser for all tests of the dashboard."""

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import mlflow
import numpy as np
import pytest
from dashboard_server import Server, start_server, stop_server
from skipping import skip_without
from store_folder import copy_store, environment_of, make_store
from visitor import Visitor, chromium_path, launch_browser

from tiledseg.images.reading import read_image

if TYPE_CHECKING:
    from dashboards.comparison import Side


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


@pytest.fixture
def fresh(empty_store, empty_caches):
    """An empty store; gives its address."""
    mlflow.set_tracking_uri(empty_store)
    return empty_store


@pytest.fixture(scope="session")
def empty_store(mlflow_tables):
    """Nothing is ever written into this one."""
    return f"sqlite:///{mlflow_tables.as_posix()}"


@pytest.fixture
def broken(store, tmp_path, monkeypatch, empty_caches):
    """A copy of the store that may be spoilt."""
    copy = tmp_path / "copy"
    copy_store(store.folder, copy)
    monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "cache"))
    mlflow.set_tracking_uri(f"sqlite:///{copy}/mlflow.db")
    return copy


@pytest.fixture(scope="session")
def chromium():
    if find_spec("playwright") is None:
        skip_without("Playwright is not installed: pip install playwright")
    path = chromium_path()
    if path is None:
        skip_without("Chromium is not installed: apt-get install chromium")
    with launch_browser(path) as browser:
        yield browser


@pytest.fixture
def visit(chromium, server):
    """Makes visitors. At the end none of them has met an error in the browser's console, or a
    request that left the machine.
    """
    visitors = []

    def arrive(**settings):
        visitors.append(Visitor(chromium, server.address, **settings))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        visitor.close()
        assert visitor.faults == []


@pytest.fixture
def visitor(visit):
    return visit()


@pytest.fixture(scope="session")
def files(store):
    """The files that the panes of ``VIEW`` stand for, as pixels."""
    folder = next(store.folder.glob(f"mlruns/*/{store.good}/artifacts/predictions/test"))

    def mask(layer):
        level = cv2.imread(str(folder / layer / "disc 4.png"), cv2.IMREAD_UNCHANGED)
        return np.where(level / 255 >= 0.5, 255, 0).astype(np.uint8)

    return {
        "image": read_image(folder / "image" / "disc 4.png"),
        "target": mask("target"),
        "a": mask("tiled"),
        "b": mask("resized"),
    }


@pytest.fixture
def store_sides(at_store: Store) -> "dict[str, Side]":
    """Everything that can be compared in the store, by key."""
    from dashboards.comparison import list_sides, list_sources
    from dashboards.run_table import run_table
    from dashboards.store import versions

    return list_sides(list_sources("Discs", run_table().runs(), versions()))
