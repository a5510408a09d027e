"""A project folder that was moved or copied works in its new place, and leaves the old one."""

import shutil
import sqlite3
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest
from typer.testing import CliRunner

from tiledseg import train
from tiledseg.cli import app
from tiledseg.errors import TrackingError
from tiledseg.tracking.moved_store import find_move
from tiledseg.tracking.store import connect


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_dataset, tiny_experiment):
    """A folder with a store in it and a training; the working folder."""
    folder = tmp_path / "be fore"
    folder.mkdir()
    monkeypatch.chdir(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    tiny_dataset()
    train(tiny_experiment(training={"epochs": 1}))
    return folder


@pytest.mark.parametrize(
    "carry",
    [
        pytest.param(Path.rename, id="moved"),
        pytest.param(shutil.copytree, id="copied", marks=pytest.mark.soak),
    ],
)
def test_a_project_goes_on_in_another_place(project, tmp_path, monkeypatch, carry, tiny_experiment):
    after = tmp_path / "after"
    carry(project, after)
    monkeypatch.chdir(after)
    mlflow.set_tracking_uri(f"sqlite:///{after}/mlflow.db")
    before = sorted(project.rglob("*")) if project.exists() else None
    image = np.full((96, 96, 3), 200, np.uint8)
    cv2.imwrite("a.png", image)
    words = ["predict", "--model", "Tiny", "--images", "a.png", "--output", "masks"]
    refused = CliRunner().invoke(app, words).exception
    assert isinstance(refused, TrackingError)
    assert f"{project}/mlruns; `tiledseg doctor --repair`" in str(refused)
    with pytest.raises(TrackingError, match="was moved or copied"):
        train(tiny_experiment())
    assert "was moved or copied" in CliRunner().invoke(app, ["doctor"]).output
    repaired = CliRunner().invoke(app, ["doctor", "--repair"])
    assert repaired.exit_code == 0, repaired.output
    assert f"name {after}/mlruns now" in " ".join(repaired.output.split())
    assert len(list(after.glob("mlflow.db.*.copy"))) == 1
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert Path("masks/a.png").is_file()
    result = train(tiny_experiment(training={"epochs": 1}))
    assert (sorted(project.rglob("*")) if project.exists() else None) == before
    assert list((after / "mlruns").rglob(f"{result.run_id}/artifacts/scores.csv"))
    assert str(project) not in "".join(
        str(row)
        for table in ("experiments", "runs", "logged_models", "model_versions")
        for row in sqlite3.connect("mlflow.db").execute(f"SELECT * FROM {table}")
    )


def test_files_that_were_meant_to_lie_elsewhere_stay_there(tmp_path):
    client = connect()
    elsewhere = (tmp_path / "disk" / "files").as_uri()
    client.create_experiment("Far", artifact_location=elsewhere)
    assert find_move(mlflow.get_tracking_uri()) is None
    assert find_move("http://127.0.0.1:9") is None
    assert find_move("sqlite:///nothing.db") is None


def test_a_database_of_another_version_of_mlflow():
    connect()
    address = mlflow.get_tracking_uri()
    database = sqlite3.connect(address.removeprefix("sqlite:///"))

    def set_revision(revision):
        with database:
            database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        mlflow.set_tracking_uri(f"{address}?a={revision}")  # a new engine

    set_revision("0c779009ac13")
    with pytest.raises(TrackingError, match="make a copy of the database, then run `mlflow db up"):
        connect()
    set_revision("ffffffffffff")
    with pytest.raises(TrackingError, match="use the version of MLflow that wrote it"):
        connect()
