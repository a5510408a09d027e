"""Four classes from end to end: masks, training, scores, registry, prediction."""

import json
import math
import os
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.config.experiment import Experiment, load_experiment
from tiledseg.errors import DatasetError
from tiledseg.evaluation.scores import label_scores
from tiledseg.images.label_files import read_label_values
from tiledseg.images.reading import read_header, read_indices
from tiledseg.images.writing import write_image
from tiledseg.masks.classes import IGNORED
from tiledseg.pipeline import evaluate, train
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.registry import load_predictor

CLASSES = ("background", "red cell", "cytoplasm", "nucleus")
SIDE = 64


SMALL = (
    "dataset.synthetic={seed: 3, size: 64, train: 3, valid: 1, test: 2, labels: cells}",
    "image.size=32",
    "tiling.max_tile=64",
    "model.base_filters=2",
    "model.num_layers=2",
    "training.epochs=1",
    "training.steps_per_epoch=3",
    "training.batch_size=2",
    "training.validation_tiles=4",
    "training.warmup_steps=1",
    "training.learning_rate=0.01",
    "training.precision=float32",
    "training.workers=0",
    "training.class_weights=[0.5, 1, 2, 2]",
    "training.metrics=[sensitivity]",
)


def experiment(*settings: str) -> Experiment:
    """The experiment of drawn cells, made small."""
    path = Path(__file__).parents[2] / "experiments" / "Synthetic-Cell-Classes.yaml"
    return load_experiment(path, [*SMALL, *settings])


@pytest.fixture(scope="module")
def trained_once():
    return train(experiment()), os.environ["MLFLOW_TRACKING_URI"]


@pytest.fixture
def trained(trained_once, monkeypatch):
    """The run, with its store in place."""
    result, uri = trained_once
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    return result


class TestARun:
    def test_scores_every_class_and_their_mean(self, trained):
        metrics = mlflow.MlflowClient().get_run(trained.run_id).data.metrics
        for score in ("dice", "iou", "precision", "recall"):
            names = [f"test/tiled/{score}/{name}" for name in CLASSES[1:]]
            own = [metrics[name] for name in names if name in metrics]
            assert metrics[f"test/tiled/{score}"] == pytest.approx(np.mean(own))
            images = [metrics[f"test/tiled/images/{score}/{name}"] for name in CLASSES[1:]]
            assert sum(map(bool, images)) == len(own)
            assert f"test/tiled/{score}/background" in metrics
        assert {"val_dice_nucleus", "val_sensitivity_nucleus", "val_dice"} <= set(metrics)
        assert metrics["test/seam/flipped_labels"] == 0
        assert metrics["valid/seam/max_difference"] < 1e-5

    def test_keeps_a_table_of_every_image_and_class(self, trained):
        table = pd.read_csv(RunFiles(trained.run_id).path("scores.csv"))
        assert len(table) == 6
        assert {f"dice/{name}" for name in CLASSES} <= set(table.columns)
        assert table["dice/nucleus"].between(0, 1).all()

    def test_keeps_predictions_as_labels_that_give_the_scores_back(self, trained):
        files = RunFiles(trained.run_id)
        table = trained.table.set_index(["split", "mode", "image"])
        name, *_ = files.names("predictions/test/tiled")
        target, prediction = (
            read_indices(files.path(f"predictions/test/{layer}/{name}"))
            for layer in ("target", "tiled")
        )
        scores = label_scores(target, prediction, CLASSES)
        row = table.loc[("test", "tiled", Path(name).stem)]
        assert {key: row[key] for key in scores} == pytest.approx(scores, nan_ok=True)
        assert set(np.unique(target)) <= {0, 1, 2, 3}

    def test_keeps_pictures_of_epochs_in_colors(self, trained):
        files = RunFiles(trained.run_id)
        (by_epoch, *_) = files.epoch_pictures().values()
        picture = cv2.imread(str(files.path(by_epoch[1])), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (SIDE, SIDE, 3)


class TestTheModel:
    def test_is_served_as_labels(self, trained):
        image = np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8)
        model = mlflow.pyfunc.load_model(f"runs:/{trained.run_id}/model")
        labels = model.predict(image)
        probability = model.predict(image, params={"output": "probability"})
        assert (labels.dtype, labels.shape) == (np.uint8, (50, 70))
        assert probability.shape == (50, 70, 4)
        assert np.array_equal(labels, probability.argmax(axis=-1))

    def test_predicts_palette_pngs_whose_index_is_the_label(self, trained, tmp_path):
        image = np.random.default_rng(2).integers(0, 256, (50, 70, 3), dtype=np.uint8)
        write_image(tmp_path / "in" / "a.png", image)
        arguments = ["--model", f"runs:/{trained.run_id}/model", "--images", str(tmp_path / "in")]
        output = tmp_path / "out"
        given = [*arguments, "--output", str(output), "--overlay", "--objects"]
        done = CliRunner().invoke(app, ["predict", *given])
        assert done.exit_code == 0, done.output
        assert read_header(output / "a.png").palette
        predictor = load_predictor(f"runs:/{trained.run_id}/model")
        expected = predictor.probability(image).argmax(axis=-1)
        labels = read_label_values(output / "a.png")
        assert np.array_equal(labels, expected)
        objects = pd.read_csv(output / "objects" / "a.csv")
        assert set(objects["class"]) == {CLASSES[label] for label in np.unique(labels) if label}
        for name, rows in objects.groupby("class"):
            assert rows["area"].sum() == np.count_nonzero(labels == CLASSES.index(name))
        features = json.loads((output / "objects" / "a.geojson").read_text())["features"]
        assert len(features) == len(objects)
        assert cv2.imread(str(output / "overlay" / "a.png")).shape == image.shape

    def test_is_not_scored_on_other_classes(self, trained):
        predictor = load_predictor(f"runs:/{trained.run_id}/model")
        others = "dataset.classes=[background, a, b, c, d]", "model.num_classes=5"
        other = experiment(*others, "training.class_weights=[]")
        with pytest.raises(DatasetError, match=r"hold 5 labels .* but the network knows 4"):
            evaluate(predictor, other, ["test"])


class TestScores:
    target = np.array([[0, 1, 2, IGNORED], [0, 1, 2, 3]], np.uint8)
    prediction = np.array([[0, 1, 1, 3], [1, 1, 2, 0]], np.uint8)

    def test_by_hand(self):
        scores = label_scores(self.target, self.prediction, "abcd")
        assert scores["dice/a"] == pytest.approx(2 * 1 / (2 + 2))
        assert scores["dice/b"] == pytest.approx(2 * 2 / (2 + 4))
        assert scores["dice/c"] == pytest.approx(2 * 1 / (2 + 1))
        assert (scores["dice/d"], scores["recall/d"]) == (0, 0)
        assert math.isnan(scores["precision/d"]), "d is not predicted where the target is known"
        assert scores["dice"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
        assert scores["iou/b"] == pytest.approx(2 / 4)
        assert scores["accuracy"] == pytest.approx(4 / 7)

    def test_of_one_class_with_pixels_that_are_not_known(self):
        target = np.array([[1, 1, 0, IGNORED]], np.uint8)
        scores = label_scores(target, np.array([[1, 0, 0, 1]], np.uint8), ("no", "yes"))
        assert scores["dice"] == pytest.approx(2 / 3)
        assert scores["accuracy"] == pytest.approx(2 / 3)
        assert "dice/yes" not in scores

    @pytest.mark.parametrize(("classes", "value"), [("ab", 1.0), ("abcd", math.nan)])
    def test_where_nothing_is_known(self, classes, value):
        scores = label_scores(
            np.full((3, 3), IGNORED, np.uint8), np.ones((3, 3), np.uint8), classes
        )
        assert scores == pytest.approx(dict.fromkeys(scores, value), nan_ok=True)
