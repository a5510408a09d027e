"""A store that goes away costs a training nothing but time at the end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from stores import DOCUMENTED, SERVER, SQLITE, Store
from surviving import curves, finish, write_experiment

from tiledseg.tracking.files import RunFiles

pytestmark = pytest.mark.soak

AWAY = float(os.environ.get("TILEDSEG_TEST_AWAY", "8"))
"""Seconds; the full length is 30 for a server, 60 for a locked database."""


@pytest.fixture(params=[SQLITE, SERVER, DOCUMENTED])
def store(request, start_store, monkeypatch):
    found = start_store(request.param)
    found.visit(monkeypatch)
    yield found
    found.return_()


@pytest.fixture
def experiment(tmp_path, tiny_experiment):
    return write_experiment(tmp_path, tiny_experiment())


@pytest.fixture
def start(store, tmp_path):
    """Starts a command; ends what a failed test left."""
    started = []

    def run(*words, patience="5"):
        started.append(start_command(store, tmp_path, *words, patience=patience))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def start_command(store: Store, folder: Path, *words: str, patience: str):
    code = (
        "import sys; from tiledseg.tracking import runs; "
        f"runs.PATIENCE_SECONDS = {patience}; from tiledseg.__main__ import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**os.environ, **store.environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_for_line(process, text):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def assert_whole(run_id):
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    for key, curve in curves(client, run_id).items():
        assert [step for step, _ in curve] == list(range(1, 6)), key
    for epochs in RunFiles(run_id).epoch_pictures().values():
        assert list(epochs) == list(range(1, 6))
    pictures = [name for name in RunFiles(run_id).names("images") if name.endswith(".png")]
    assert len(pictures) == 2 * 5
    (version,) = client.search_model_versions("name = 'Tiny'")
    assert version.run_id == run_id
    kept = client.search_logged_models(experiment_ids=[run.info.experiment_id])
    assert len(kept) == 4
    assert all(str(model.status) == "READY" for model in kept)
    scores = RunFiles(run_id).path("scores.csv").read_text().splitlines()
    assert len(scores) == len(set(scores)) == 9


def test_away_in_the_middle_and_back(start, store, experiment, tmp_path, tiny_dataset):
    tiny_dataset(tmp_path / "data")
    process = start("train", "--experiment", str(experiment), patience="60")
    seen = wait_for_line(process, "epoch   1/")
    store.leave()
    time.sleep(AWAY)
    store.return_()
    output = seen + finish(process)
    if store.server is not None:  # a database's client waits for some seconds by itself
        assert "does not answer" in output and "answers again" in output
    run_id = output.split("run         ")[1].split()[0]
    assert_whole(run_id)


def test_away_at_the_end_and_synced_later(start, store, experiment, tmp_path, tiny_dataset):
    tiny_dataset(tmp_path / "data")
    process = start("train", "--experiment", str(experiment))
    seen = wait_for_line(process, "epoch   4/")
    store.leave()
    output = seen + finish(process, 75)
    run_id = output.split("run         ")[1].split()[0]
    assert f"tiledseg sync {run_id}" in output.splitlines()[-1]
    assert "Traceback" not in output
    finish(start("sync", run_id), 1)
    store.return_()
    assert "FINISHED" in finish(start("sync", run_id))
    assert_whole(run_id)
    assert "nothing to send" in finish(start("sync"))
