"""What every test gets: a place of its own, and a tiny dataset and experiment on demand.

The folders of pixels, checkpoints and datasets, the MLflow store and the working directory all
lie under pytest's temporary folder, so no test touches the checkout or the home folder.
"""

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from discs import draw_discs
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tiledseg.config.experiment import Experiment
from tiledseg.images.writing import write_image, write_mask

# A shared machine is slow at times, and examples kept on disk would lie in the checkout.
settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")

if TYPE_CHECKING:
    from stores import Store

TinyDataset = Callable[..., Path]
TinyExperiment = Callable[..., Experiment]
MakeFolder = Callable[[Path], None]

_FOREIGN = (
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "TILEDSEG_STORAGE",
)


_LONGEST = (
    "test_killed.py",
    "test_viewer.py",
    "test_every_view.py",
    "test_accessibility.py",
    "test_try_out_view.py",
    "test_sweep_command.py",
    "test_front_door.py",
    "test_train.py",
    "test_sweep.py",
    "test_postgresql.py",
    "test_pipeline.py",
    "test_trial.py",
)
"""Files that take minutes: begun last, they would keep one core idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; ``make test`` tells xdist to keep this order."""
    place = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


def _move_in(patch: pytest.MonkeyPatch, place: Path) -> None:
    for name in _FOREIGN:
        patch.delenv(name, raising=False)
    patch.setenv("TILEDSEG_DATA", str(place / "data"))
    patch.setenv("TILEDSEG_CACHE", str(place / "cache"))
    patch.setenv("TILEDSEG_STATE", str(place / "state"))
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{(place / 'mlflow.db').as_posix()}")
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    patch.chdir(place)
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None:  # a URI set by an earlier test goes before the environment's
        mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])


@pytest.fixture(scope="session", autouse=True)
def _session_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Fixtures that are shared by a module are set up here."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("session")
        _move_in(patch, place)
        gc.freeze()  # what is imported by now stays; TensorFlow alone is a second of every look
        yield place


@pytest.fixture(autouse=True)
def _own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _session_place: Path
) -> Iterator[None]:
    _move_in(monkeypatch, tmp_path)
    yield
    with pytest.MonkeyPatch.context() as patch:  # for MLflow, which keeps what it was told
        _move_in(patch, _session_place)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, MakeFolder], Path]:
    """A folder that is filled once, whatever the number of pytest's workers."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(name: str, fill: MakeFolder) -> Path:
        folder, ready, failed = (base / f"{name}{end}" for end in ("", ".ready", ".failed"))
        try:
            folder.mkdir()
        except FileExistsError:  # another worker is at it, or was
            while not (ready.exists() or failed.exists()):
                time.sleep(0.1)
        else:
            try:
                fill(folder)
            except BaseException as error:
                failed.write_text(repr(error))
                raise
            ready.touch()
        assert ready.exists(), failed.read_text()
        return folder

    return make


@pytest.fixture(scope="session")
def mlflow_tables(made_once: Callable[[str, MakeFolder], Path]) -> Path:
    """An MLflow database without runs; making one takes seconds."""

    def fill(folder: Path) -> None:
        code = "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]); mlflow.search_runs([])"
        uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
        subprocess.run([sys.executable, "-c", code, uri], check=True, cwd=folder)
        with sqlite3.connect(folder / "mlflow.db") as database:
            assert database.execute("SELECT count(*) FROM runs").fetchone() == (0,)

    return made_once("mlflow-tables", fill) / "mlflow.db"


@pytest.fixture
def own_tables(mlflow_tables: Path, tmp_path: Path, _own_place: None) -> None:
    """The test's own MLflow store has its tables already."""
    shutil.copy(mlflow_tables, tmp_path / "mlflow.db")


@pytest.fixture(scope="session")
def start_store(
    tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Path
) -> Iterator[Callable[[str], "Store"]]:
    """Gives an empty store by one of its names in ``stores``; its server is started once."""
    from postgresql_server import find_binaries
    from stores import DOCUMENTED, SQLITE, SqliteStore, start_documented_server, start_server

    with ExitStack() as stack:
        running: dict[str, Store] = {}

        def start(name: str) -> "Store":
            folder = tmp_path_factory.mktemp("store")
            if name == SQLITE:
                return SqliteStore(folder, mlflow_tables)
            if name in running:
                running[name].clear()
            elif name == DOCUMENTED:
                running[name] = stack.enter_context(
                    start_documented_server(folder, find_binaries())
                )
            else:
                running[name] = stack.enter_context(start_server(folder, mlflow_tables))
            return running[name]

        yield start


@pytest.fixture
def mlflow_store(
    request: pytest.FixtureRequest,
    start_store: Callable[[str], "Store"],
    monkeypatch: pytest.MonkeyPatch,
    _own_place: None,
) -> "Store":
    """The test's own store: SQLite, or the one that it names by ``indirect``."""
    store = start_store(getattr(request, "param", "sqlite"))
    store.visit(monkeypatch)
    return store


@pytest.fixture(scope="session")
def tiny_dataset() -> TinyDataset:
    """Write ROOT/NAME/{train,valid,test}/{images,masks}; returns ROOT/NAME.

    ``images`` are the numbers of train, valid and test images; 0 leaves the folder out. ROOT
    is the test's data root (``TILEDSEG_DATA``) unless it is given.
    """

    def write(
        root: Path | None = None,
        name: str = "Tiny",
        images: Sequence[int] = (4, 2, 2),
        size: int = 96,
    ) -> Path:
        folder = (Path(os.environ["TILEDSEG_DATA"]) if root is None else root) / name
        number = 0
        for split, count in zip(("train", "valid", "test"), images, strict=True):
            for _ in range(count):
                image, mask = draw_discs(number, size)
                write_image(folder / split / "images" / f"disc{number}.png", image)
                write_mask(folder / split / "masks" / f"disc{number}.png", mask)
                number += 1
        return folder

    return write


@pytest.fixture(scope="session")
def tiny_experiment() -> TinyExperiment:
    """An experiment on ``tiny_dataset`` that trains in seconds.

    Sections are given as keywords and change only the keys they name:
    ``tiny_experiment(training={"epochs": 3}, model={"normalization": "none"})``.
    """
    tiny: dict[str, dict[str, Any]] = {
        "dataset": {"name": "Tiny"},
        "image": {"size": 32},
        "model": {"base_filters": 4, "num_layers": 2},
        "training": {
            "epochs": 2,
            "steps_per_epoch": 4,
            "batch_size": 2,
            "validation_tiles": 8,
            "warmup_steps": 2,
            "learning_rate": 0.01,
            "workers": 0,
        },
        "tiling": {"max_tile": 64},
    }

    def make(**overrides: dict[str, Any]) -> Experiment:
        sections = {
            section: {**tiny.get(section, {}), **overrides.get(section, {})}
            for section in {*tiny, *overrides}
        }
        return Experiment.model_validate(sections)

    return make
