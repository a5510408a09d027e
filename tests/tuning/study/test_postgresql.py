"""Several machines share a study on a real PostgreSQL server.

Three sweeps, each with its own worker, stand for three machines: nothing in a machine's identity
but its name tells them apart, and all they share is the storage and the tracking store.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import optuna
import psutil
import pytest
from postgresql_server import find_binaries, postgresql_server

from tiledseg.tuning.execution import retries
from tiledseg.tuning.study.storage import StudyLock, check_url, open_storage

pytestmark = pytest.mark.soak

SWEEP = (sys.executable, str(Path(__file__).parents[1] / "sweep_process.py"))


@pytest.fixture(scope="module")
def server():
    """The address of a fresh server."""
    with postgresql_server(find_binaries()) as address:
        yield address


def start_sweeps(number, trials, storage, study):
    """Start the sweeps of so many machines."""
    options = {"trials": trials, "storage": storage, "study": study, "pruner": "none"}
    environment = {**os.environ, "FAKE_TRIAL": json.dumps({"epoch_seconds": 0.3})}
    command = [*SWEEP, json.dumps(options)]
    return [subprocess.Popen(command, env=environment) for _ in range(number)]


def test_three_share_thirty_trials_and_one_is_lost(server):
    processes = start_sweeps(3, 30, server, "shared")
    storage = open_storage(check_url(server))
    deadline = time.monotonic() + 300
    lost = None
    while any(process.poll() is None for process in processes):
        assert time.monotonic() < deadline
        if lost is None and processes[2].poll() is None:
            lost = kill_worker_in_a_trial(processes[2], storage)
        time.sleep(0.1)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert lost is not None

    found = optuna.load_study(study_name="shared", storage=storage).get_trials()
    counted = retries.list_counted(found)
    assert len(counted) == len(retries.list_finished(found)) == 30
    assert {trial.state.name for trial in counted} == {"COMPLETE"}
    assert len({str(trial.params) for trial in counted}) == 30
    assert [trial.user_attrs["outcome"] for trial in found if trial not in counted] == ["died"]
    workers = {trial.user_attrs["worker"]["pid"] for trial in found}
    assert lost in workers
    assert len(workers) >= 3

    runs = mlflow.search_runs(search_all_experiments=True, max_results=1000)
    parents = runs[runs["tags.tiledseg.kind"] == "sweep"]
    children = runs[runs["tags.tiledseg.kind"] == "trial"]
    assert list(parents["status"]) == ["FINISHED"]
    assert sorted(children["status"]) == ["FINISHED"] * 30 + ["KILLED"]
    assert len(runs) == 32


def kill_worker_in_a_trial(process, storage):
    """Kill the process's worker once it has a trial with a run; its id, or None before that."""
    try:
        trials = optuna.load_study(study_name="shared", storage=storage).get_trials()
    except KeyError:
        return None
    running = [trial.user_attrs for trial in trials if trial.state.name == "RUNNING"]
    at_work = [attributes["worker"]["pid"] for attributes in running if "run_id" in attributes]
    for child in psutil.Process(process.pid).children():
        if child.pid in at_work:
            child.kill()
            return child.pid
    return None


def test_the_lock_is_held_by_one(server):
    one, other = StudyLock(check_url(server), "s"), StudyLock(check_url(server), "s")
    elsewhere = StudyLock(check_url(server), "another study")
    with one:
        assert other._try_to_acquire() is None
        with elsewhere:
            pass
    with other:
        assert one._try_to_acquire() is None
