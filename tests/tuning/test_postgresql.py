"""Several machines share a study on a real PostgreSQL server.

Three sweeps, each with its own worker, stand for three machines: nothing in a machine's identity
but its name tells them apart, and all they share is the storage and the tracking store.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import optuna
import psutil
import pytest

from tiledseg.tuning import ledger
from tiledseg.tuning.storage import StudyLock, check_url

SWEEP = (sys.executable, str(Path(__file__).with_name("sweep_process.py")))
INITDB = shutil.which("initdb")

pytestmark = pytest.mark.skipif(INITDB is None, reason="PostgreSQL is not installed")


def as_server(*command):
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else [*command]


@pytest.fixture(scope="module")
def server():
    """The address of a fresh server on 127.0.0.1."""
    folder = Path(tempfile.mkdtemp(prefix="tiledseg-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    binaries, data = Path(INITDB).resolve().parent, str(folder / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    initdb = [str(binaries / "initdb"), "-D", data, "-U", "me", "--auth=trust", "--no-sync"]
    subprocess.run(as_server(*initdb), check=True, capture_output=True, cwd="/")
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [str(binaries / "pg_ctl"), "-D", data, "-w"]
    log = str(folder / "log")
    subprocess.run(
        as_server(*control, "-l", log, "-o", settings, "start"),
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        yield f"postgresql://me@127.0.0.1:{port}/postgres"
    finally:
        stop = as_server(*control, "-m", "immediate", "stop")
        subprocess.run(stop, check=True, capture_output=True, cwd="/")
        shutil.rmtree(folder)


def started(number, trials, storage, study):
    """Start the sweeps of so many machines."""
    options = {"trials": trials, "storage": storage, "study": study, "pruner": "none"}
    environment = {**os.environ, "FAKE_TRIAL": json.dumps({"epoch_seconds": 0.4})}
    command = [*SWEEP, json.dumps(options)]
    return [subprocess.Popen(command, env=environment) for _ in range(number)]


def trials_of(study, storage):
    return optuna.load_study(study_name=study, storage=str(check_url(storage))).get_trials()


def test_three_share_thirty_trials_and_one_is_lost(server):
    processes = started(3, 30, server, "shared")
    deadline = time.monotonic() + 300
    lost = None
    while any(process.poll() is None for process in processes):
        assert time.monotonic() < deadline
        if lost is None and processes[2].poll() is None:
            lost = _kill_worker_in_a_trial(processes[2], server)
        time.sleep(0.1)
    assert [process.returncode for process in processes] == [0, 0, 0]

    found = trials_of("shared", server)
    counted = ledger.counted(found)
    assert len(counted) == len(ledger.finished(found)) == 30
    assert {trial.state.name for trial in counted} == {"COMPLETE"}
    assert len({str(trial.params) for trial in counted}) == 30
    assert len(found) == 30 + (lost is not None)
    workers = {trial.user_attrs["worker"]["pid"] for trial in counted}
    assert len(workers) >= 3

    runs = mlflow.search_runs(search_all_experiments=True, max_results=1000)
    assert set(runs[runs["tags.tiledseg.kind"] == "sweep"]["status"]) == {"FINISHED"}
    assert len(runs[runs["tags.tiledseg.kind"] == "sweep"]) == 1
    finished = runs[runs["status"] == "FINISHED"]
    assert len(finished[finished["tags.tiledseg.kind"] == "trial"]) == 30
    assert "RUNNING" not in set(runs["status"])


def _kill_worker_in_a_trial(process, server):
    """Kill the process's worker once it has a trial; returns its id, or None before that."""
    try:
        running = [
            trial.user_attrs.get("worker", {}).get("pid")
            for trial in trials_of("shared", server)
            if trial.state.name == "RUNNING"
        ]
    except KeyError:
        return None
    for child in psutil.Process(process.pid).children():
        if child.pid in running:
            child.kill()
            return child.pid
    return None


def test_the_lock_is_held_by_one(server):
    one, other = StudyLock(check_url(server), "s"), StudyLock(check_url(server), "s")
    elsewhere = StudyLock(check_url(server), "another study")
    with one:
        assert other._attempt() is None
        with elsewhere:
            pass
    with other:
        assert one._attempt() is None
