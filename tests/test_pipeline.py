"""The main job, called as a library."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tiledseg import evaluate, train
from tiledseg.errors import DatasetError, TrackingError
from tiledseg.pipeline import prepare
from tiledseg.tracking.names import CHAMPION, MODES
from tiledseg.tracking.registry import load_predictor

pytestmark = pytest.mark.usefixtures("own_tables")


class Listener:
    def __init__(self, interrupt_after=None):
        self.heard = []
        self._interrupt_after = interrupt_after

    def on_run_start(self, run_id):
        self.run_id = run_id
        self.heard.append("run")

    def on_dataset(self, dataset, summary):
        self.heard.append("dataset")

    def on_batch_end(self, epoch, batch, batches, metrics):
        self.heard.append("batch")

    def on_epoch_end(self, report):
        self.heard.append("epoch")

    def on_saved(self, saved):
        pass

    def on_epoch_masks(self, picture):
        self.heard.append("picture")
        if picture.epoch == self._interrupt_after:
            raise KeyboardInterrupt

    def on_image(self, evaluation):
        self.heard.append("image")


@pytest.fixture
def client():
    return mlflow.MlflowClient()


def test_train_tells_its_observers_and_returns_what_it_logs(
    client, tiny_dataset, tiny_experiment, tmp_path
):
    tiny_dataset()
    listener = Listener()
    result = train(tiny_experiment(), [listener])
    assert [listener.heard.count(name) for name in ("run", "dataset", "epoch", "image")] == [
        1, 1, 2, 4,
    ]  # fmt: skip
    assert listener.heard.count("batch") == 8
    assert listener.heard.count("picture") == 4
    run = client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert {name: run.data.metrics[name] for name in result.metrics} == pytest.approx(
        result.metrics
    )
    assert len(result.table) == 8  # a row per image and mode
    path = mlflow.artifacts.download_artifacts(f"runs:/{result.run_id}/scores.csv")
    pd.testing.assert_frame_equal(pd.read_csv(path), result.table, check_dtype=False)
    assert client.get_model_version_by_alias("Tiny", CHAMPION).run_id == result.run_id
    assert not list((tmp_path / "state").iterdir())


def test_an_interrupted_training_is_resumed_in_its_run(client, tiny_dataset, tiny_experiment):
    tiny_dataset()
    experiment = tiny_experiment(training={"epochs": 3})
    listener = Listener(interrupt_after=2)
    with pytest.raises(KeyboardInterrupt):
        train(experiment, [listener])
    assert client.get_run(listener.run_id).info.status == "KILLED"
    result = train(experiment, resume=listener.run_id)
    assert result.run_id == listener.run_id
    assert client.get_run(result.run_id).info.status == "FINISHED"
    losses = client.get_metric_history(result.run_id, "loss")
    assert [metric.step for metric in losses] == [1, 2, 3]

    before = client.get_run(result.run_id)
    with pytest.raises(TrackingError, match=f"run {result.run_id} is FINISHED and stays"):
        train(experiment, resume=result.run_id)
    after = client.get_run(result.run_id)
    assert (after.info.status, after.data.tags) == ("FINISHED", before.data.tags)


def test_an_image_is_kept_under_the_stem_of_its_masks(client, tiny_dataset, tiny_experiment):
    folder = tiny_dataset()
    for path in list(folder.glob("*/images/*.png")):
        path.rename(path.with_name(f"{path.stem}_img.png"))
    dataset = {"name": "Tiny", "image_suffix": "_img"}
    result = train(tiny_experiment(dataset=dataset, training={"epochs": 1}), splits=["valid"])
    names = {
        layer: [
            item.path.rpartition("/")[2]
            for item in client.list_artifacts(result.run_id, f"predictions/valid/{layer}")
        ]
        for layer in ("image", "target", "tiled", "resized")
    }
    assert len(names["image"]) == 2
    assert all(found == names["target"] for found in names.values()), names


@pytest.mark.soak
def test_the_threshold_that_was_tuned_is_scored_registered_and_evaluated(
    client, tiny_dataset, tiny_experiment
):
    tiny_dataset()
    plain = train(tiny_experiment())
    result = train(tiny_experiment(training={"tune_threshold": True}))
    threshold = client.get_run(result.run_id).data.metrics["threshold"]
    assert 0.1 < threshold < 0.96
    assert "threshold" not in client.get_run(plain.run_id).data.metrics
    assert result.metrics["valid/tiled/dice"] >= plain.metrics["valid/tiled/dice"]
    predictor = load_predictor(f"runs:/{result.run_id}/model")
    assert predictor.threshold == pytest.approx(threshold)
    assert_evaluated_alike(client, predictor, result)


def assert_evaluated_alike(client, predictor, trained):
    """A run of its own gives the scores that training gave."""
    again = evaluate(predictor, predictor.experiment, ["test"])
    assert again.run_id != trained.run_id
    assert client.get_run(again.run_id).data.tags["tiledseg.kind"] == "evaluate"
    for name, value in again.metrics.items():
        assert "seconds" in name or value == pytest.approx(trained.metrics[name]), name
    assert set(again.table["split"]) == {"test"}
    with pytest.raises(DatasetError, match="no split 'tset'"):
        evaluate(predictor, predictor.experiment, ["tset"])


def test_images_are_left_out_and_nothing_registered_when_asked(
    client, tiny_dataset, tiny_experiment
):
    tiny_dataset()
    tracking = {"log_images": False, "register_model": False}
    result = train(tiny_experiment(tracking=tracking))
    folders = {item.path for item in client.list_artifacts(result.run_id, "predictions/test")}
    assert folders == {f"predictions/test/{kind}" for kind in ("tiled", "resized", "grid")}
    files = mlflow.artifacts.download_artifacts(run_id=result.run_id)
    endings = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif"}
    pictures = {path for path in Path(files).rglob("*") if path.suffix in endings}
    places = {path.parent.relative_to(files).as_posix() for path in pictures}
    masks = {f"predictions/{split}/{mode}" for split in ("valid", "test") for mode in MODES}
    assert places == {"curves", *masks}
    assert not client.search_registered_models()
    assert result.registration is None


def test_prepare_makes_training_start_at_once(tiny_experiment, tmp_path):
    synthetic = {"seed": 1, "size": 96, "train": 2, "valid": 1, "test": 1}
    experiment = tiny_experiment(dataset={"name": "Drawn", "synthetic": synthetic})
    dataset = prepare(experiment)
    assert dataset.folder == tmp_path / "data" / "Drawn"
    entries = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.pixels")}
    assert len(entries) == 8
    prepare(experiment)
    assert entries == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.pixels")
    }
