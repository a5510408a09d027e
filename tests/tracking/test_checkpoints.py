"""Checkpoints of a run in MLflow: the best, the last, nothing half and nothing twice."""

import json
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import LoggedModelStatus
from stores import on_every_store
from watched_disk import watch_disk

from tiledseg.errors import TrackingError
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking import checkpoints
from tiledseg.tracking.checkpoints import (
    fetch_state,
    find_checkpoint,
    find_state,
    send_checkpoint,
    send_state,
)
from tiledseg.tracking.known_facts import KnownFacts
from tiledseg.tracking.names import CHECKPOINT, MODEL
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.packaging import PREDICTOR_FOLDER, make_package
from tiledseg.tracking.registry import load_predictor, send_registration
from tiledseg.tracking.tracked_run import TrackedRun

pytestmark = on_every_store


@pytest.fixture
def client():
    return mlflow.MlflowClient()


@pytest.fixture
def run_id(client):
    return client.create_run(client.create_experiment("Tiny")).info.run_id


@pytest.fixture(scope="module")
def predictor(tiny_experiment):
    experiment = tiny_experiment()
    return Predictor(build_model(experiment.model, 3), experiment)


@pytest.fixture
def send(client, run_id, predictor, tmp_path):
    """Sends the checkpoint of an epoch, as the outbox does."""

    def send_epoch(epoch, best, score=0.5, where=None):
        package = tmp_path / (where or f"package{epoch}")
        if not package.exists():
            make_package(package)
            predictor.save(package / PREDICTOR_FOLDER)
        content = {"epoch": epoch, "best": best, "metrics": [("val_dice", score, 7, epoch)]}
        send_checkpoint(client, run_id, content, package)

    return send_epoch


def models(client):
    return client.search_logged_models(experiment_ids=["1"])


def epochs(client):
    return sorted(int(model.tags["tiledseg.epoch"]) for model in models(client))


def test_the_best_are_kept_with_step_and_metrics_and_the_rest_is_gone(
    client, run_id, send, mlflow_store
):
    send(1, [1], 0.1)
    (first,) = models(client)
    network = f"{PREDICTOR_FOLDER}/model.keras"
    assert network in mlflow_store.list_files(first.artifact_location)
    send(2, [2, 1], 0.9)
    send(3, [2, 3], 0.5)
    assert epochs(client) == [2, 3]
    kept = mlflow_store.list_files(first.artifact_location)
    assert kept == [], "MLflow alone keeps the bytes"
    best, other = find_checkpoint(client, run_id, 2), find_checkpoint(client, run_id, 3)
    assert (best.name, other.name) == (MODEL, CHECKPOINT)
    assert [(each.key, each.value, each.step) for each in best.metrics] == [("val_dice", 0.9, 2)]
    outputs = client.get_run(run_id).outputs.model_outputs
    assert {output.model_id: output.step for output in outputs}[best.model_id] == 2
    curve = client.get_metric_history(run_id, "val_dice")
    assert [(each.step, each.value) for each in curve] == [(1, 0.1), (2, 0.9), (3, 0.5)]
    with pytest.raises(TrackingError, match="keeps no network of epoch 1; it keeps: 2, 3"):
        find_checkpoint(client, run_id, 1)


def test_runs_model_is_the_best_of_them(client, run_id, send, predictor):
    send(1, [1])
    send(2, [2, 1])
    send(3, [2, 3, 1])
    resolved = mlflow.models.get_model_info(f"runs:/{run_id}/model")
    assert resolved.model_id == find_checkpoint(client, run_id, 2).model_id
    for uri in (f"runs:/{run_id}", f"runs:/{run_id}/model", f"runs:/{run_id}@epoch=3"):
        assert load_predictor(uri).experiment == predictor.experiment
    with pytest.raises(TrackingError, match="keeps no network of epoch 12"):
        load_predictor(f"runs:/{run_id}@epoch=12")


def test_what_is_sent_twice_is_there_once(client, run_id, send):
    send(1, [1], 0.1)
    send(1, [1], 0.1)
    assert epochs(client) == [1]
    assert len(client.get_metric_history(run_id, "val_dice")) == 1
    assert len(client.get_run(run_id).outputs.model_outputs) == 1


@pytest.mark.parametrize("step", ["log_outputs", "log_batch"])
def test_a_kill_after_the_files_loses_neither_step_nor_metrics(
    client, run_id, send, monkeypatch, step
):
    def fail(*_):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, step, fail)
        with pytest.raises(ConnectionError):
            send(1, [1], 0.1)
    send(1, [1], 0.1)
    model = find_checkpoint(client, run_id, 1)
    assert [each.value for each in model.metrics] == [0.1]
    (output,) = client.get_run(run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, 1)


def test_half_a_model_is_never_seen_and_is_sent_again(client, run_id, send, monkeypatch):
    with monkeypatch.context() as patch:

        def fail(*_):
            raise ConnectionError

        patch.setattr(mlflow.MlflowClient, "finalize_logged_model", fail)
        with pytest.raises(ConnectionError):
            send(1, [1])
    (half,) = models(client)
    assert half.status == LoggedModelStatus.PENDING
    with pytest.raises(TrackingError, match="it keeps: none"):
        find_checkpoint(client, run_id, 1)
    send(1, [1])
    (whole,) = models(client)
    assert whole.status == LoggedModelStatus.READY
    assert whole.model_id != half.model_id


def test_a_registered_one_never_falls_out_and_holds_what_was_decided(
    client, run_id, send, predictor, tmp_path
):
    send(1, [1])
    settings = tmp_path / "settings"
    (settings / PREDICTOR_FOLDER).mkdir(parents=True)
    predictor.replace(threshold=0.7).save_settings(settings / PREDICTOR_FOLDER)
    score = {"dice": 0.8, "images": 2, "classes": ["foreground"]}
    content = {"epoch": 1, "name": "Tiny", "score": score, "tags": {"tiledseg.threshold": "0.7"}}
    for _ in range(2):
        send_registration(client, run_id, content, settings)
    (version,) = client.search_model_versions("name = 'Tiny'")
    assert version.source == f"models:/{find_checkpoint(client, run_id, 1).model_id}"
    assert version.tags["tiledseg.threshold"] == "0.7"
    send(2, [2])
    assert epochs(client) == [1, 2]
    assert load_predictor("models:/Tiny@champion").threshold == 0.7


def write_state(folder, epoch, batch=0):
    folder.mkdir(exist_ok=True)
    state = {"epoch": epoch, "batch": batch}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / f"epoch{epoch}.keras").write_text(f"network {epoch}")
    return state


def test_the_last_state_replaces_the_one_before_and_is_fetched_where_it_is_newer(
    client, run_id, send, tmp_path
):
    assert not fetch_state(client, run_id, tmp_path / "none", "state.json")
    for epoch in (1, 2):
        send(epoch, [epoch])
        place = tmp_path / f"at{epoch}"
        send_state(client, run_id, write_state(place, epoch), place)
    (state,) = [model for model in models(client) if model.name == "state"]
    assert find_state(client, run_id).model_id == state.model_id
    assert state.tags["tiledseg.epoch"] == "2"
    elsewhere = tmp_path / "elsewhere"
    assert fetch_state(client, run_id, elsewhere, "state.json")
    assert (elsewhere / "epoch2.keras").read_text() == "network 2"
    write_state(elsewhere, 3)
    assert fetch_state(client, run_id, elsewhere, "state.json")
    assert json.loads((elsewhere / "state.json").read_text())["epoch"] == 3, "it was newer"
    write_state(elsewhere, 1, 5)
    assert fetch_state(client, run_id, elsewhere, "state.json")
    assert json.loads((elsewhere / "state.json").read_text())["epoch"] == 2


def test_a_state_that_is_here_stays_where_a_later_one_cannot_be_fetched(
    client, run_id, send, tmp_path, monkeypatch
):
    send(1, [1])
    place = tmp_path / "at2"
    send_state(client, run_id, write_state(place, 2), place)
    here = tmp_path / "here"
    write_state(here, 1)

    class Away:
        def download_artifacts(self, *_):
            raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_repository", lambda _: Away())
        with pytest.raises(ConnectionError):
            fetch_state(client, run_id, here, "state.json")
    assert json.loads((here / "state.json").read_text())["epoch"] == 1
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".here")} == set()


def test_networks_of_the_best_epochs_come_with_the_state(client, run_id, send, tmp_path):
    send(1, [1])
    place = tmp_path / "at2"
    send_state(client, run_id, write_state(place, 2), place)
    fetch_state(client, run_id, tmp_path / "here", "state.json")
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert names == {"state.json", "epoch1.keras", "epoch2.keras"}


def test_a_store_that_keeps_files_loses_the_record_all_the_same(client, send, monkeypatch):
    class Stubborn:
        def delete_artifacts(self):
            raise NotImplementedError

    send(1, [1])
    monkeypatch.setattr(checkpoints, "_repository", lambda _: Stubborn())
    send(2, [2])
    assert epochs(client) == [2]


def test_a_package_names_no_path_of_this_machine(send, client, tmp_path):
    send(1, [1])
    (model,) = models(client)
    fetched = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}")
    for path in Path(fetched).rglob("*"):
        if path.is_file() and path.suffix in {"", ".yaml", ".txt", ".json", ".py"}:
            assert str(tmp_path) not in path.read_text().replace(model.artifact_location, ""), path


def test_a_package_that_a_killed_process_was_making_is_made_anew(predictor, tmp_path, monkeypatch):
    home = tmp_path / "run"
    outbox = Outbox(home / "outbox")
    run = TrackedRun(None, "offline", home, outbox, lambda: None, KnownFacts())

    def killed(folder):
        make_package(folder)
        (folder / "MLmodel").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tiledseg.tracking.tracked_run.make_package", killed)
        run.log_inherited(predictor, 1)
    (home / "package-draft-parts" / "code").mkdir(parents=True)
    disk = watch_disk(monkeypatch)
    run.log_inherited(predictor, 1)
    assert disk.named == [(home / "package", True), (home / "outbox" / "000000001", True)]
    (entry,) = outbox.entries()
    assert (entry.files / "MLmodel").is_file()
    assert (entry.files / PREDICTOR_FOLDER / "model.keras").is_file()
    assert sorted(path.name for path in home.iterdir()) == ["outbox", "package"]
