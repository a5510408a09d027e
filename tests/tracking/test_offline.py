"""Runs without a store: what they log is in the store after ``tiledseg sync``, as if it had been
there all the time."""

import json

import mlflow
import numpy as np
import pytest
from typer.testing import CliRunner

from tiledseg import evaluate, train
from tiledseg.cli import app
from tiledseg.errors import ExperimentError, TrackingError
from tiledseg.tracking import housekeeping
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import CHAMPION, CHECKPOINT_TAG, EPOCH_TAG, OFFLINE_TAG
from tiledseg.tracking.offline import list_offline, open_offline_run, place_in_store
from tiledseg.tracking.registry import load_predictor
from tiledseg.tracking.resuming import plan_offline_resumption
from tiledseg.tracking.run_folder import state_home
from tiledseg.tracking.store import connect
from tiledseg.tracking.syncing import list_leftovers, sync_run

DOWN = "http://127.0.0.1:9"


@pytest.fixture
def experiment(tiny_dataset, tiny_experiment):
    tiny_dataset()
    return tiny_experiment(training={"epochs": 3, "tune_threshold": True, "epoch_pictures": 1})


@pytest.fixture
def without_store(monkeypatch):
    """While it is entered, the store cannot be reached."""

    def enter(patch):
        patch.setenv("MLFLOW_TRACKING_URI", DOWN)
        mlflow.set_tracking_uri(DOWN)

    address = mlflow.get_tracking_uri()

    class Away:
        def __enter__(self):
            self.patch = pytest.MonkeyPatch()
            enter(self.patch)

        def __exit__(self, *_):
            self.patch.undo()
            mlflow.set_tracking_uri(address)

    return Away()


class Stopper:
    """Ends a training after an epoch's pictures."""

    def __init__(self, epoch):
        self.epoch, self.run_id = epoch, ""

    def __getattr__(self, name):
        return lambda *_: None

    def on_run_start(self, run_id):
        self.run_id = run_id

    def on_epoch_masks(self, picture):
        if picture.epoch == self.epoch:
            raise KeyboardInterrupt


def curves_of(client, run_id):
    return {
        key: [(each.step, each.value) for each in client.get_metric_history(run_id, key)]
        for key in client.get_run(run_id).data.metrics
        if "seconds" not in key
    }


def pictures_of(run_id):
    return {key: list(epochs) for key, epochs in RunFiles(run_id).epoch_pictures().items()}


def models_of(client, run):
    """Epochs of the networks and of the state that a run keeps."""
    found = client.search_logged_models(
        experiment_ids=[run.info.experiment_id],
        filter_string=f"source_run_id = '{run.info.run_id}'",
    )
    return sorted((model.tags[CHECKPOINT_TAG], model.tags[EPOCH_TAG]) for model in found)


def assert_alike(client, one, other):
    """Two runs hold the same, but for when and where they were made."""
    assert curves_of(client, one) == curves_of(client, other)
    assert pictures_of(one) == pictures_of(other)
    first, second = client.get_run(one), client.get_run(other)
    assert first.data.params == second.data.params
    assert set(second.data.tags) - set(first.data.tags) == {OFFLINE_TAG}
    inputs = [
        {item.dataset.name: item.dataset.digest for item in run.inputs.dataset_inputs}
        for run in (first, second)
    ]
    assert inputs[0] == inputs[1]
    assert models_of(client, first) == models_of(client, second)
    for folder in ("", "curves", "predictions/test/tiled"):
        assert RunFiles(one).names(folder) == RunFiles(other).names(folder)


@pytest.mark.soak
def test_a_run_without_a_store_is_sent_as_if_it_had_been_there(client, experiment, without_store):
    online = train(experiment)
    with without_store:
        offline = train(experiment, offline=True)
        assert offline.registration is None
        predictor = load_predictor(str(offline.model_folder))
        image = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
        expected = predictor.mask(image, "tiled")
    sent = sync_run(offline.run_id)
    assert sent.status == "FINISHED"
    assert_alike(client, online.run_id, sent.run_id)
    assert client.get_run(sent.run_id).data.tags[OFFLINE_TAG] == offline.run_id
    versions = {item.run_id for item in client.search_model_versions("name = 'Tiny'")}
    assert versions == {online.run_id, sent.run_id}
    assert client.get_model_version_by_alias("Tiny", CHAMPION).run_id == online.run_id
    registered = load_predictor(f"runs:/{sent.run_id}")
    assert registered.threshold == predictor.threshold
    assert np.array_equal(registered.mask(image, "tiled"), expected)
    assert not list(state_home().iterdir())


@pytest.mark.soak
def test_stopped_and_gone_on_with_without_a_store(client, experiment, without_store):
    online, stopper = train(experiment), Stopper(2)
    with without_store:
        with pytest.raises(KeyboardInterrupt):
            train(experiment, [stopper], offline=True)
        assert list_offline() == [stopper.run_id]
        plan = plan_offline_resumption(stopper.run_id, ["tracking.log_images=true"])
        train(plan.experiment, resume=plan.run_id, offline=True)
        with pytest.raises(TrackingError, match=f"tiledseg sync {stopper.run_id}` sends it"):
            train(plan.experiment, resume=plan.run_id, offline=True)
    sent = sync_run(stopper.run_id)
    assert sent.status == "FINISHED"
    assert_alike(client, online.run_id, sent.run_id)


@pytest.mark.soak
def test_stopped_without_a_store_and_gone_on_with_in_one(client, experiment, without_store):
    online, stopper = train(experiment), Stopper(1)
    with without_store, pytest.raises(KeyboardInterrupt):
        train(experiment, [stopper], offline=True)
    done = CliRunner().invoke(app, ["train", "--resume", stopper.run_id])
    assert done.exit_code == 0, (done.output, done.exception)
    (run,) = client.search_runs(
        [client.get_experiment_by_name("Tiny").experiment_id], f"tags.`{OFFLINE_TAG}` != ''"
    )
    assert f"{stopper.run_id} -> {run.info.run_id}  KILLED" in " ".join(done.output.split("\n"))
    assert run.info.status == "FINISHED"
    assert_alike(client, online.run_id, run.info.run_id)


def test_a_record_that_was_made_before_a_kill_is_found_again(client, experiment, without_store):
    with without_store:
        offline = train(experiment, offline=True)
    made = place_in_store(connect(), offline.run_id)  # and nothing was sent
    assert client.get_run(made).info.status == "RUNNING"
    assert sync_run(offline.run_id).run_id == made
    assert len(client.search_runs([client.get_experiment_by_name("Tiny").experiment_id])) == 1


def test_one_process_at_a_time(tiny_experiment, without_store):
    with (
        without_store,
        open_offline_run(tiny_experiment(), "train") as run,
        pytest.raises(TrackingError, match="belongs to another process of this machine"),
        open_offline_run(tiny_experiment(), "train", resume=run.run_id),
    ):
        pass
    with (
        pytest.raises(TrackingError, match="FINISHED"),
        open_offline_run(tiny_experiment(), "train", resume=run.run_id),
    ):
        pass


def test_what_is_no_offline_run(tiny_experiment):
    with pytest.raises(TrackingError, match="no offline run offline-1"):
        plan_offline_resumption("offline-1")
    with pytest.raises(TrackingError, match="run 0123 is one of a store"):
        plan_offline_resumption("0123")
    with open_offline_run(tiny_experiment(), "train") as run:
        run.log_experiment(tiny_experiment())
    with pytest.raises(ExperimentError, match="would change the numbers"):
        plan_offline_resumption(run.run_id, ["image.size=64"])


@pytest.mark.parametrize("text", ["", "[]", "null", '{"experiment": "a"}', "[" * 100_000])
def test_a_damaged_record_is_told_in_one_line(tiny_experiment, text):
    with open_offline_run(tiny_experiment(), "train") as run:
        run.log_experiment(tiny_experiment())
    folder = state_home() / run.run_id
    (folder / "experiment.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(TrackingError, match=r"experiment.yaml: cannot be read \("):
        plan_offline_resumption(run.run_id)
    (folder / "offline.json").write_text(text)
    with pytest.raises(TrackingError, match=r"offline.json: cannot be read \(.*; put a") as told:
        place_in_store(connect(), run.run_id)
    assert "\n" not in str(told.value)


@pytest.mark.soak
def test_evaluated_without_a_store(client, experiment, without_store):
    with without_store:
        trained = train(experiment, offline=True)
        predictor = load_predictor(str(trained.model_folder))
        scored = evaluate(predictor, predictor.experiment, ["test"], offline=True)
        assert scored.metrics["test/tiled/dice"] == trained.metrics["test/tiled/dice"]
    sent = sync_run(scored.run_id)
    found = client.get_run(sent.run_id)
    assert found.data.tags["tiledseg.kind"] == "evaluate"
    assert found.data.metrics["test/tiled/dice"] == scored.metrics["test/tiled/dice"]
    assert list_offline() == [trained.run_id]


@pytest.mark.soak
def test_the_command_says_what_comes_next(experiment, tmp_path, without_store):
    path = tmp_path / "Tiny.yaml"
    path.write_text(experiment.to_yaml())
    with without_store:
        words = ["train", "--experiment", str(path), "--offline"]
        done = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    assert done.exit_code == 0, (done.output, done.exception)
    (run_id,) = list_offline()
    assert f"next        tiledseg sync {run_id}" in done.output
    assert f"use         tiledseg predict --model {state_home() / run_id / 'model'}" in done.output
    folders = {folder.run_id: folder.status for folder in housekeeping.list_state_folders()}
    assert folders == {run_id: "offline"}
    assert list_leftovers() == []  # nobody knows which store it is for
    doctor = json.loads(CliRunner().invoke(app, ["doctor", "--clean", "--json"]).output)
    assert not doctor["state_folders"][0]["removed"]
    sent = CliRunner().invoke(app, ["sync"]).output
    assert f"{run_id} -> " in sent and "FINISHED" in sent
    assert CliRunner().invoke(app, ["sync"]).output == "nothing to send\n"
