"""A class that is in one of eight images and never found, from images to console and registry."""

import io
import math
import shutil
from pathlib import Path

import cv2
import keras
import mlflow
import numpy as np
import pandas as pd
import pytest

from tiledseg import evaluate, pipeline, train
from tiledseg.cli.console import show_scores
from tiledseg.errors import DatasetError
from tiledseg.images.writing import write_image, write_labels
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking.names import CLASSES_TAG, images_metric
from tiledseg.tracking.registry import load_predictor

pytestmark = pytest.mark.usefixtures("own_tables")

CLASSES = ("background", "common", "rare")
GROUND, COMMON, RARE = np.array(245, np.uint8), (90, 40, 130), (250, 20, 20)


def write_images(root: Path, *, shown: tuple[str, ...] = CLASSES[1:]) -> None:
    """Eight images of each split; ``rare`` is in the first one alone."""
    for number in range(24):
        split = ("train", "valid", "test")[number // 8]
        rng = np.random.default_rng(number)
        image, labels = np.full((64, 64, 3), GROUND - number), np.zeros((64, 64), np.uint8)
        parts = [("common", COMMON, 7, rng.integers(30, 56, 2).tolist())]
        if number % 8 == 0:
            parts.append(("rare", RARE, 5, [12, 12]))
        for name, color, radius, center in parts:
            if name in shown or split == "train":
                cv2.circle(image, center, radius, color, cv2.FILLED)
                cv2.circle(labels, center, radius, CLASSES.index(name), cv2.FILLED)
        write_image(root / "Rare" / split / "images" / f"{number}.png", image)
        write_labels(root / "Rare" / split / "masks" / f"{number}.png", labels, 3)


@pytest.fixture(scope="module")
def experiment(tiny_experiment):
    return tiny_experiment(
        dataset={"name": "Rare", "mask_form": "labels", "classes": CLASSES},
        model={"num_classes": 3},
        training={"epochs": 1, "steps_per_epoch": 2, "monitor": "val_loss", "epoch_pictures": 0},
        evaluation={"seam_images": 1},
    )


def network_of_dark_and_bright(*, finds_common: bool = True) -> keras.Model:
    """Dark is common, all else background; rare is never found."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(3, 1, name="logits")
    network = keras.Model(image, keras.layers.Softmax()(layer(image)))
    kernel = np.zeros((1, 1, 3, 3))
    if finds_common:
        kernel[0, 0, 1, 0] = 0.1  # green: above 220 of the ground, 40 and 20 of the others
        kernel[0, 0, 0, 0] = 0.1  # red: above 220, 90 and 250
    layer.kernel.assign(kernel)
    layer.bias.assign([-20.0, 0.0, -99.0] if finds_common else [0.0, -99.0, -99.0])
    return network


@pytest.fixture(scope="module")
def evaluated_once(experiment, tmp_path_factory, mlflow_tables):
    folder = tmp_path_factory.mktemp("evaluated")
    write_images(folder / "data")
    shutil.copy(mlflow_tables, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
        use_store(patch, uri)
        predictor = Predictor(network_of_dark_and_bright(), experiment)
        return evaluate(predictor, experiment, ["test"], root=folder / "data"), uri


def use_store(patch, uri):
    patch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)


@pytest.fixture
def evaluated(evaluated_once, monkeypatch):
    """The scores of eight test images, with their store in place."""
    result, uri = evaluated_once
    use_store(monkeypatch, uri)
    return result


def test_its_scores_are_those_of_the_image_that_has_it(evaluated):
    logged = mlflow.MlflowClient().get_run(evaluated.run_id).data.metrics
    assert logged == pytest.approx(evaluated.metrics)
    assert not any(math.isnan(value) for value in logged.values())
    for mode in ("tiled", "resized"):
        of = f"test/{mode}"
        assert (logged[f"{of}/dice/rare"], logged[f"{of}/images/dice/rare"]) == (0.0, 1)
        assert (logged[f"{of}/recall/rare"], logged[f"{of}/images/recall/rare"]) == (0.0, 1)
        assert f"{of}/precision/rare" not in logged
        assert logged[f"{of}/images/precision/rare"] == 0
        assert logged[f"{of}/dice"] == pytest.approx(logged[f"{of}/dice/common"] / 2)
        assert logged[f"{of}/images/dice/common"] == logged[f"{of}/images/dice"] == 8
    assert logged["test/tiled/dice/common"] > 0.9


def test_every_final_figure_says_how_many_images_are_behind_it(evaluated):
    figures = {name for name in evaluated.metrics if "/images/" not in name}
    assert {images_metric(name) for name in figures} <= set(evaluated.metrics)
    images = {name: evaluated.metrics[images_metric(name)] for name in figures}
    assert images["test/seam/gradient_ratio"] == 8
    assert images["test/seam/max_difference"] == 1
    assert images["test/tiled/seconds_per_megapixel"] == 8


def test_the_table_has_an_empty_cell_where_there_is_no_score(evaluated):
    client = mlflow.MlflowClient()
    path = client.download_artifacts(evaluated.run_id, "scores.csv")
    text = Path(path).read_text(encoding="utf-8")
    assert "nan" not in text.lower()
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    table = table[table["mode"] == "tiled"]
    assert sorted(table["dice/rare"]) == [""] * 7 + ["0.0"]
    assert set(table["precision/rare"]) == {""}
    assert "NaN" not in Path(client.download_artifacts(evaluated.run_id, "scores.json")).read_text()


def test_the_console_shows_how_many_images_have_it(evaluated, capsys):
    show_scores(evaluated.metrics)
    lines = capsys.readouterr().out.splitlines()
    cells = {
        name: [cell.strip() for cell in line.split("│")[3:7]]
        for line in lines
        for name in ("dice", "dice/rare")
        if f" {name} " in line
    }
    assert cells["dice/rare"] == ["0.0000", "1", "0.0000", "1"]
    assert cells["dice"][1::2] == ["8", "8"]
    assert any("max_difference" in line and "(1 image)" in line for line in lines)


@pytest.fixture
def train_to(monkeypatch):
    """Train, and have another network come out of it."""

    def run(experiment, network):
        monkeypatch.setattr(pipeline, "Predictor", lambda *_: Predictor(network, experiment))
        return train(experiment, splits=["valid"])

    return run


def test_the_champion_is_chosen_by_it(experiment, train_to, tmp_path):
    write_images(tmp_path / "data")
    result = train_to(experiment, network_of_dark_and_bright())
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias("Rare", "champion")
    assert float(version.tags["valid/tiled/dice"]) == pytest.approx(
        result.metrics["valid/tiled/dice/common"] / 2, abs=1e-5
    )
    assert version.tags["valid/tiled/images/dice"] == "8"
    assert version.tags[CLASSES_TAG] == '["common", "rare"]'
    history = client.get_run(result.run_id).data.metrics
    assert not any(math.isnan(value) for value in history.values())


def test_a_model_without_any_score_is_registered_and_no_champion(
    experiment, train_to, tmp_path, caplog
):
    write_images(tmp_path / "data", shown=())
    result = train_to(experiment, network_of_dark_and_bright(finds_common=False))
    assert "valid/tiled/dice" not in result.metrics
    assert result.metrics["valid/tiled/images/dice"] == 0
    assert not result.registration.is_champion
    assert "has no valid/tiled/dice" in caplog.text
    assert load_predictor("models:/Rare/1").threshold == 0.5


def test_a_training_that_no_validation_image_could_judge_does_not_begin(experiment, tmp_path):
    write_images(tmp_path / "data", shown=())
    for monitor in ("val_dice", "val_dice_coef"):
        with pytest.raises(DatasetError, match=f"monitor is {monitor}, and no validation tile"):
            train(experiment.override({"training.monitor": monitor}))
