"""What a user can get wrong ends with one clear line, and harms nothing."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest
import yaml

from tiledseg.__main__ import main
from tiledseg.images.writing import write_image, write_mask

pytestmark = pytest.mark.usefixtures("own_tables")


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder and its digest."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def tiledseg(monkeypatch, capsys):
    """Run the command line; returns the exit code and what was written to standard error."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["tiledseg", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def dataset(tiny_dataset, tiny_experiment, tmp_path):
    """A sound dataset with its experiment; returns its folder."""
    folder = tiny_dataset()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    return folder


@pytest.fixture
def refused(tiledseg, tmp_path):
    """Check that a command is refused with one line that holds some words, touching nothing.

    ``runs`` are the states of the runs that it leaves; None where the store cannot be asked.
    """

    def check(command: list[str], *words: str, runs: Sequence[str] | None = ()) -> None:
        before = contents(tmp_path / "data")
        code, shown = tiledseg(*command)
        assert code == 1
        assert len(shown.strip().splitlines()) == 1, shown
        assert "Traceback" not in shown
        for word in words:
            assert word in shown, shown
        assert contents(tmp_path / "data") == before
        if runs is not None:
            left = mlflow.search_runs(search_all_experiments=True)
            assert [run.status for run in left.itertuples()] == list(runs)

    return check


TRAIN = ["train", "--dataset", "Tiny"]
FAILED = ["FAILED"]
"""The runs that are left when files were read: what lists and pairs them comes before any."""


def test_a_sound_dataset_trains(tiledseg, dataset):
    code, shown = tiledseg(*TRAIN, "--set", "training.epochs=1")
    assert (code, shown) == (0, "")


def test_unknown_dataset(refused, dataset):
    refused(["train", "--dataset", "tini"], "'tini'", "Tiny")


def test_no_data_folder(refused, dataset, monkeypatch, tmp_path):
    monkeypatch.setenv("TILEDSEG_DATA", str(tmp_path / "nowhere"))
    refused(TRAIN, str(tmp_path / "nowhere"), "TILEDSEG_DATA")


def test_dataset_not_in_the_data_folder(refused, dataset):
    dataset.rename(dataset.with_name("Tinny"))
    refused(TRAIN, "Tinny")


def test_image_without_mask(refused, dataset):
    lost = next((dataset / "train" / "masks").iterdir())
    lost.unlink()
    refused(TRAIN, lost.stem, "mask")


def test_mask_without_image(refused, dataset):
    lost = next((dataset / "valid" / "images").iterdir())
    lost.unlink()
    refused(TRAIN, lost.stem, "image")


def test_image_and_mask_of_different_size(refused, dataset):
    path = next((dataset / "test" / "masks").iterdir())
    write_mask(path, np.ones((95, 96), bool))
    refused(TRAIN, path.name, "96 x 95", "96 x 96", runs=FAILED)


def test_truncated_jpeg(refused, dataset):
    path = next((dataset / "train" / "images").iterdir())
    _, jpeg = cv2.imencode(".jpg", cv2.imread(str(path)))
    path.unlink()
    path.with_suffix(".jpg").write_bytes(jpeg.tobytes()[:-200])
    refused(TRAIN, path.with_suffix(".jpg").name, runs=FAILED)


def test_text_named_png(refused, dataset):
    path = next((dataset / "train" / "images").iterdir())
    path.write_text("this is not an image")
    refused(TRAIN, path.name, runs=FAILED)


def test_no_foreground_in_train(refused, dataset):
    for path in (dataset / "train" / "masks").iterdir():
        write_mask(path, np.zeros((96, 96), bool))
    refused(TRAIN, str(dataset / "train" / "masks"), runs=FAILED)


def test_fewer_images_than_a_split_needs(refused, dataset, tiny_dataset, tmp_path):
    few = tiny_dataset(name="Few", images=(2, 0, 0))
    text = (tmp_path / "experiments" / "Tiny.yaml").read_text().replace("Tiny", "Few")
    (tmp_path / "experiments" / "Few.yaml").write_text(text)
    refused(["train", "--dataset", "Few"], str(few), "3")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.epoch=3", ["training.epoch", "epochs"]),
        ("training.epochs=many", ["training.epochs", "'many'"]),
        ("training.epochs=0", ["training.epochs", "0"]),
        ("image.color_space=gray", ["color_space", "channels"]),
        ("tiling.max_tile=63", ["tiling.max_tile", "63", "64"]),
        ("image.size=33", ["image.size", "33", "34"]),
        ("training", ["KEY=VALUE"]),
        ("training.epochs=3 and more", ["training.epochs", "'3 and more'"]),
        ("training.epochs='3", ["training.epochs"]),
    ],
)
def test_impossible_settings(refused, dataset, override, words):
    refused([*TRAIN, "--set", override], *words)


def test_impossible_settings_in_a_file(refused, dataset, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"dataset": {"name": "Tiny"}, "modell": {}}))
    refused(["train", "--experiment", str(path)], "mine.yaml", "modell", "model")


def test_no_dataset_named(refused, dataset):
    refused(["train"], "--dataset", "Tiny")


def test_tile_too_small_for_the_halo(refused, dataset):
    write_image(dataset / "valid" / "images" / "large.png", np.zeros((99, 99, 3), np.uint8))
    write_mask(dataset / "valid" / "masks" / "large.png", np.ones((99, 99), bool))
    small = "model.num_layers=4 tiling.max_tile=64 training.epochs=1"
    refused([*TRAIN, "--set", small], "tiling.max_tile", "64", runs=FAILED)


@pytest.mark.parametrize("place", ["file/inside", "/proc/tiledseg"])
def test_folders_that_cannot_be_written(refused, dataset, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("in the way")
    folder = str(tmp_path / place)
    monkeypatch.setenv("TILEDSEG_STATE", folder)
    refused(TRAIN, folder, "TILEDSEG_STATE", runs=FAILED)


@pytest.mark.parametrize("place", ["file/inside", "/proc/tiledseg"])
def test_output_that_cannot_be_written(refused, dataset, tmp_path, place):
    from tiledseg.config.experiment import load_experiment
    from tiledseg.models import build_model
    from tiledseg.prediction.predictor import Predictor

    experiment = load_experiment(tmp_path / "experiments" / "Tiny.yaml")
    (tmp_path / "model").mkdir()
    Predictor(build_model(experiment.model, 3), experiment).save(tmp_path / "model")
    (tmp_path / "file").write_text("in the way")
    command = ["predict", "--model", str(tmp_path / "model")]
    images = ["--images", str(dataset / "test" / "images")]
    output = str(tmp_path / place)
    refused([*command, *images, "--output", output], output)


def test_tracking_server_unreachable(refused, dataset, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    refused(TRAIN, "http://127.0.0.1:9", "MLFLOW_TRACKING_URI", runs=None)


def test_store_that_cannot_be_written(refused, dataset):
    mlflow.set_tracking_uri("sqlite:////proc/tiledseg/mlflow.db")
    refused(TRAIN, "/proc/tiledseg/mlflow.db", runs=None)


def test_model_that_is_not_there(refused, dataset):
    command = ["predict", "--model", "Nobody", "--images", str(dataset), "--output", "out"]
    refused(command, str(dataset))
    images = str(dataset / "test" / "images")
    command = ["predict", "--model", "Nobody", "--images", images, "--output", "out"]
    refused(command, "'Nobody'")
