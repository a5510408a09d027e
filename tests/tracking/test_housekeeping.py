"""Dead runs are found and closed; living ones are left alone."""

import json
import time
from dataclasses import asdict, replace

import mlflow
import pytest
from stores import on_every_store
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.tracking import housekeeping
from tiledseg.tracking.names import ERROR_TAG, HEARTBEAT_TAG, KIND_TAG, OWNER_TAG, RUN_TAG
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.ownership import Owner, Ownership
from tiledseg.tracking.run_folder import run_folder
from tiledseg.tracking.syncing import sync_run

pytestmark = on_every_store


@pytest.fixture
def client():
    return mlflow.MlflowClient()


@pytest.fixture
def start(client):
    """Makes a run: alive, dead, of nobody, or a sweep's."""
    experiment_id = client.create_experiment("Tiny")

    def make(kind):
        began = int(1000 * (time.time() - (0 if kind == "young" else 3600)))
        tags = {KIND_TAG: "sweep" if kind.endswith("sweep") else "train"}
        if kind.endswith("sweep"):
            silent = 3600 if kind == "dead sweep" else 0
            tags[HEARTBEAT_TAG] = str(time.time() - silent)
        if kind == "foreign":
            tags = {}
        run_id = client.create_run(experiment_id, start_time=began, tags=tags).info.run_id
        if kind == "alive":
            Ownership(client, run_id)
        elif kind == "dead":
            owner = replace(Owner.this_process(), host="elsewhere", heartbeat=time.time() - 3600)
            client.set_tag(run_id, OWNER_TAG, json.dumps(asdict(owner)))
        return run_id

    return make


def statuses(client, runs):
    return {kind: client.get_run(run_id).info.status for kind, run_id in runs.items()}


def test_zombies_are_listed_and_closed_and_living_runs_are_left_alone(client, start):
    kinds = ("alive", "dead", "nobody", "young", "sweep", "dead sweep", "foreign")
    runs = {kind: start(kind) for kind in kinds}
    runs["alive too"] = start("alive")
    for kind in ("alive", "dead"):  # what `mlflow run` made for it
        runs[f"launcher of {kind}"] = start("nobody")
        client.set_tag(runs[f"launcher of {kind}"], RUN_TAG, runs[kind])
    closed = {"dead", "nobody", "dead sweep", "launcher of dead"}
    found = {zombie.run_id: zombie for zombie in housekeeping.find_zombies()}
    assert set(found) == {runs[kind] for kind in closed}
    assert "elsewhere" in found[runs["dead"]].owner
    done = CliRunner().invoke(app, ["doctor", "--repair"])
    assert done.exit_code == 0, done.output
    assert runs["dead"] in done.output
    assert statuses(client, runs) == {
        kind: "KILLED" if kind in closed else "RUNNING" for kind in runs
    }
    tags = client.get_run(runs["dead"]).data.tags
    assert "died" in tags[ERROR_TAG] and OWNER_TAG not in tags
    assert housekeeping.find_zombies() == []


def test_one_that_was_resumed_meanwhile_is_not_closed(client, start):
    run_id = start("dead")
    (zombie,) = housekeeping.find_zombies()
    Ownership(client, run_id)
    housekeeping.close_zombie(zombie)
    assert client.get_run(run_id).info.status == "RUNNING"


def test_folders_of_finished_runs_are_removed_when_all_is_sent(client, start):
    runs = {kind: start("nobody") for kind in ("done", "unsent", "open")}
    for kind, run_id in runs.items():
        folder = run_folder(run_id)
        (folder / "state").mkdir()
        (folder / "state" / "epoch1.keras").write_bytes(b"0" * 2_000_000)
        if kind != "open":
            client.set_terminated(run_id, "FINISHED")
    Outbox(run_folder(runs["unsent"]) / "outbox").add(
        "batch", {"metrics": [["a", 1.0, 1, 0]], "params": {}, "tags": {}}
    )
    run_folder("0123").joinpath("x").write_text("x")
    done = CliRunner().invoke(app, ["doctor", "--clean", "--json"])
    folders = {row["run"]: row for row in json.loads(done.output)["state_folders"]}
    assert {kind: folders[run_id]["removed"] for kind, run_id in runs.items()} == {
        "done": True,
        "unsent": False,
        "open": False,
    }
    assert folders[runs["done"]]["megabytes"] == 2.0
    assert folders[runs["unsent"]]["unsent"] == 1
    assert folders["0123"]["status"] == "unknown"
    left = {folder.run_id for folder in housekeeping.list_state_folders()}
    assert left == {runs["unsent"], runs["open"], "0123"}
    assert sync_run(runs["unsent"]).status == "FINISHED"
    assert client.get_run(runs["unsent"]).data.metrics == {"a": 1.0}
    assert left - {folder.run_id for folder in housekeeping.list_state_folders()} == {
        runs["unsent"]
    }


def test_what_a_killed_process_left_is_sent_and_the_run_is_closed(client, start):
    run_id = start("dead")
    Outbox(run_folder(run_id) / "outbox").add(
        "batch", {"metrics": [["loss", 0.5, 7, 3]], "params": {}, "tags": {}}
    )
    done = CliRunner().invoke(app, ["sync"])
    assert f"{run_id}  KILLED" in done.output
    (loss,) = client.get_metric_history(run_id, "loss")
    assert (loss.value, loss.step) == (0.5, 3)
    assert CliRunner().invoke(app, ["sync"]).output == "nothing to send\n"


def test_a_store_that_is_away_is_one_line_and_not_the_end_of_the_facts(monkeypatch):
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    began = time.monotonic()
    done = CliRunner().invoke(app, ["doctor"])
    assert time.monotonic() - began < 15
    assert done.exit_code == 1
    assert "does not answer" in done.output
    assert "tensorflow" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "--model", "Tiny", "--images", "a.png", "--output", "out"],
        ["evaluate", "--model", "Tiny", "--dataset", "Synthetic-Cell"],
        ["train", "--dataset", "Synthetic-Cell"],
        ["train", "--resume", "0123"],
        ["sync", "0123"],
    ],
)
def test_every_command_says_within_seconds_that_the_server_is_down(words, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    folder = run_folder("0123")
    Outbox(folder / "outbox").add("end", {})
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    began = time.monotonic()
    done = CliRunner().invoke(app, words)
    assert time.monotonic() - began < 15
    assert "does not answer" in str(done.exception)
