"""What a run could not send is sent by the next command that reaches its store."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import psutil
import pytest
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.tracking.names import OWNER_TAG
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.ownership import Owner
from tiledseg.tracking.run_folder import note_store, run_folder
from tiledseg.tracking.store import store_address
from tiledseg.tracking.syncing import list_leftovers


@pytest.fixture
def process():
    """Another process, which a test may stop."""
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield psutil.Process(running.pid)
    running.kill()
    running.wait()


@pytest.fixture
def leave(client):
    """Makes a run that has something to send; returns its id."""
    experiment_id = client.create_experiment("Tiny")

    def make(owner=None, store=None):
        run_id = client.create_run(experiment_id).info.run_id
        folder = run_folder(run_id)
        note_store(folder, store or store_address())
        Outbox(folder / "outbox").add(
            "batch", {"metrics": [["loss", 0.5, 7, 3]], "params": {}, "tags": {}}
        )
        if owner:
            client.set_tag(run_id, OWNER_TAG, json.dumps(asdict(owner)))
        return run_id

    return make


def owner_in(process):
    own = Owner.this_process()
    return replace(own, process=process.pid, started=process.create_time())


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "--model", "Nobody", "--images", ".", "--output", "masks"],
        ["evaluate", "--model", "Nobody", "--dataset", "Synthetic-Cell"],
        ["train", "--resume", "0123"],
        ["train", "--dataset", "Nobody"],
        ["sweep", "--dataset", "Synthetic-Cell", "--trials", "1", "--objective", "nothing"],
    ],
    ids=" ".join,
)
def test_any_command_sends_what_an_ended_process_left(client, leave, process, words, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    owner = owner_in(process)
    process.kill()
    process.wait()
    run_id = leave(owner)
    assert list_leftovers() == [run_id]
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0  # for its own reasons
    assert f"{run_id}  KILLED, all of it is in the store" in done.output
    (loss,) = client.get_metric_history(run_id, "loss")
    assert (loss.value, loss.step) == (0.5, 3)
    assert list_leftovers() == []


def test_what_may_still_be_sent_by_its_own_process_is_left_to_it(leave, process):
    leave(owner_in(process))
    assert list_leftovers() == []
    process.suspend()  # a closed lid
    assert list_leftovers() == []
    leave(replace(Owner.this_process(), host="elsewhere", heartbeat=0.0))
    assert list_leftovers() == []


def test_runs_of_another_store_and_removed_ones_are_left_alone(client, leave):
    leave(store="http://elsewhere:5000")
    removed = leave()
    assert list_leftovers() == [removed]
    client.delete_run(removed)
    run_folder("0123")
    note_store(run_folder("0123"), store_address())
    Outbox(run_folder("0123") / "outbox").add("end", {})
    assert "0123" not in list_leftovers()
