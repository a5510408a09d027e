"""A full disk, or one that cannot be written, ends a command with one line that names it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from logged_models import log_model

from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("unshare") is None,
        reason="disks of one's own are made by Linux",
    ),
]
DISK = Path(__file__).with_name("small_disk.py")


@pytest.fixture
def place(tmp_path, own_tables, tiny_dataset, tiny_experiment):
    """A dataset, its experiment, and a store in a folder of its own with a logged model."""
    tiny_dataset()
    experiment = tiny_experiment(training={"epochs": 1})
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "Tiny.yaml").write_text(experiment.to_yaml())
    for name in ("db", "temporary", "mlruns", "out"):
        (tmp_path / name).mkdir()
    shutil.move(tmp_path / "mlflow.db", tmp_path / "db" / "mlflow.db")
    return tmp_path


def run(place: Path, kind: str, folder: str, *words: str) -> tuple[int, list[str]]:
    """The exit status of a command and its lines of standard error."""
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{place}/db/mlflow.db",
        "TMPDIR": str(place / "temporary"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    tiledseg = [sys.executable, "-m", "tiledseg", *words]
    disk = [sys.executable, str(DISK), kind, str(place / folder)]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", *disk, *tiledseg],
        check=False, capture_output=True, text=True, cwd=place, env=environment,
    )  # fmt: skip
    return done.returncode, done.stderr.strip().splitlines()


@pytest.mark.parametrize(
    ("kind", "folder"),
    [("full", "db"), ("read-only", "db"), ("full", "mlruns"), ("full", "temporary"),
     ("read-only", "mlruns"), ("full", "cache"), ("full", "state")],
)  # fmt: skip
def test_a_training(place, kind, folder):
    (place / folder).mkdir(exist_ok=True)
    code, lines = run(place, kind, folder, "train", "--dataset", "Tiny")
    print(code, *lines, sep="\n")
    assert not any("Traceback" in line for line in lines), lines
    assert code == 0 or lines[-1].startswith("tiledseg: "), lines


@pytest.mark.parametrize("folder", ["temporary", "out"])
def test_a_prediction(place, folder, tiny_experiment, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/db/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{place}/db/mlflow.db")
    experiment = tiny_experiment()
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    with mlflow.start_run() as opened:
        pass
    log_model(predictor, opened.info.run_id)
    uri = f"runs:/{opened.info.run_id}"
    images = str(place / "data" / "Tiny" / "test" / "images")
    words = ("predict", "--model", uri, "--images", images, "--output", str(place / "out"))
    code, lines = run(place, "full", folder, *words)
    print(code, *lines, sep="\n")
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("tiledseg: ")
