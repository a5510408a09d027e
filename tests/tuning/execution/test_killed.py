"""Whatever is killed, and whenever: exactly the trials asked for, and nothing left open."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import mlflow
import optuna
import psutil
import pytest
from optuna.trial import TrialState

from tiledseg.tuning.execution import retries
from tiledseg.tuning.study.storage import check_url, open_storage

pytestmark = pytest.mark.soak

SWEEP = (sys.executable, str(Path(__file__).parents[1] / "sweep_process.py"))


def start_sweep(*, epoch_seconds=0.1, **options):
    """Start a sweep whose trials have four epochs."""
    environment = {**os.environ, "FAKE_TRIAL": json.dumps({"epoch_seconds": epoch_seconds})}
    return subprocess.Popen([*SWEEP, json.dumps(options)], env=environment)


def family(process, *words):
    """Processes below one whose command line holds some words."""
    found = []
    for child in below(process):
        try:
            if all(word in " ".join(child.cmdline()) for word in words):
                found.append(child)
        except psutil.Error:
            continue
    return found


def below(process):
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def has_ended(process):
    """Gone, or a zombie: who adopts orphans here may not wait for them."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@lru_cache(maxsize=1)
def storage_in(folder):
    return open_storage(check_url(f"sqlite:///{folder}/sweeps.db"))


def trials():
    if not Path("sweeps.db").exists():  # opening it would make its tables, as the sweep does now
        return []
    try:
        study = optuna.load_study(study_name="Tiny-tiny", storage=storage_in(Path.cwd()))
    except KeyError:
        return []
    return study.get_trials(deepcopy=False)


def running():
    return [trial for trial in trials() if trial.state == TrialState.RUNNING]


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")


def runs():
    return mlflow.search_runs(search_all_experiments=True, max_results=1000)


def check_records(wanted):
    """Optuna and MLflow agree, and every trial that was asked for has exactly one end."""
    found = trials()
    counted = retries.list_counted(found)
    assert all(trial.state.is_finished() for trial in found)
    assert len(counted) == wanted
    replaced = [trial.system_attrs["retry_history"][-1] for trial in found if is_again(trial)]
    assert sorted(replaced) == sorted(retries.find_superseded(found))  # each was run again once
    assert len(found) == wanted + len(replaced)
    settings = Counter(str(sorted(trial.params.items())) for trial in counted)
    assert max(settings.values()) == 1  # none twice
    assert sum(trial.user_attrs.get("origin") == "experiment" for trial in counted) == 1

    records = runs()
    parents = records[records["tags.tiledseg.kind"] == "sweep"]
    assert list(parents["status"]) == ["FINISHED"]
    assert len(records) == 1 + sum(records["tags.tiledseg.kind"] == "trial")
    assert set(records["status"]) <= {"FINISHED", "KILLED"}
    status = dict(zip(records["run_id"], records["status"], strict=True))
    for trial in counted:
        if trial.state == TrialState.FAIL:  # it was under way when the second one was killed, too
            assert retries.outcome_of(trial) in ("died", "killed")
            assert trial.user_attrs["deaths"] == 1
        else:
            wanted_status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}[trial.state.name]
            assert status[trial.user_attrs["run_id"]] == wanted_status


def is_again(trial):
    return "retry_history" in trial.system_attrs


def kill_one(process, word):
    """SIGKILL for one of a family."""

    def attempt():
        for victim in family(process, word):
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
            return True
        return False

    wait_for(attempt)


def test_a_trial_a_worker_and_the_sweep_killed_one_after_the_other():
    process = start_sweep(trials=10, workers=2)
    me = psutil.Process(process.pid)
    wait_for(lambda: retries.list_finished(trials()))
    while not any(retries.outcome_of(trial) == "killed" for trial in trials()):
        kill_one(me, "fake_trial")
        time.sleep(0.5)
    kill_one(me, "tiledseg.tuning.execution.worker")
    wait_for(lambda: len(family(me, "tiledseg.tuning.execution.worker")) == 2)  # a new one came
    left = below(me)
    process.kill()
    process.wait()
    wait_for(lambda: all(has_ended(one) for one in left))  # they notice, tidy up and go
    assert len(running()) <= 1  # that of the killed worker, if the new one has not looked yet
    assert start_sweep(trials=10, workers=2).wait(200) == 0
    check_records(10)


@pytest.mark.parametrize(
    ("rounds", "wanted"),
    [(3, 16), pytest.param(20, 64, marks=[pytest.mark.soak_long, pytest.mark.timeout(3600)])],
)
def test_killed_at_random_again_and_again(rounds, wanted):
    rng = random.Random(5)
    for _ in range(rounds):
        process = start_sweep(trials=wanted, workers=2)
        me = psutil.Process(process.pid)
        wait_for(lambda me=me, process=process: family(me, "worker") or process.poll() is not None)
        time.sleep(rng.uniform(0.0, 4.0))
        victims = [me, *below(me)]
        for victim in rng.sample(victims, min(len(victims), rng.randint(1, 3))):
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        time.sleep(rng.uniform(0.0, 0.5))
        process.kill()
        process.wait()
    assert start_sweep(trials=wanted, workers=2).wait(900) == 0
    check_records(wanted)


def test_a_polite_end_and_a_loss_of_power():
    process = start_sweep(trials=6, workers=2, epoch_seconds=10.0)  # none ends on its own
    me = psutil.Process(process.pid)
    wait_for(lambda: family(me, "fake_trial") and running())
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert not running()
    records = runs()
    assert set(records[records["tags.tiledseg.kind"] == "sweep"]["status"]) == {"KILLED"}
    assert "RUNNING" not in set(records["status"])

    process = start_sweep(trials=6, workers=2, epoch_seconds=1.0)
    me = psutil.Process(process.pid)
    wait_for(running)
    every = [me, *below(me)]
    for end in (psutil.Process.suspend, psutil.Process.kill):  # nobody is left to tidy up
        for one in every:
            with suppress(psutil.NoSuchProcess):
                end(one)
    process.wait()
    assert running()
    assert start_sweep(trials=6, workers=2).wait(200) == 0
    check_records(6)
