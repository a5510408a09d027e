"""Whatever is killed, and whenever: exactly the trials asked for, and nothing left open."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import mlflow
import optuna
import psutil

from tiledseg.tuning import ledger

SWEEP = (sys.executable, str(Path(__file__).with_name("sweep_process.py")))
PLAN = {"FAKE_TRIAL": json.dumps({"epoch_seconds": 0.1})}


def started(**options):
    environment = {**os.environ, **PLAN}
    return subprocess.Popen([*SWEEP, json.dumps(options)], env=environment)


def family(process, *words):
    """Processes below one whose command line holds some words."""
    found = []
    for child in process.children(recursive=True):
        try:
            if all(word in " ".join(child.cmdline()) for word in words):
                found.append(child)
        except psutil.Error:
            continue
    return found


def trials():
    try:
        study = optuna.load_study(study_name="Tiny-tiny", storage="sqlite:///sweeps.db")
    except KeyError:
        return []
    return study.get_trials(deepcopy=False)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")


def check_books(wanted):
    """The two books agree, and every trial that was asked for has exactly one end."""
    found = trials()
    counted = ledger.counted(found)
    assert len(counted) == len(ledger.finished(found)) == wanted
    assert all(trial.state.is_finished() for trial in found)
    assert {trial.state.name for trial in counted} <= {"COMPLETE", "PRUNED"}
    settings = Counter(str(sorted(trial.params.items())) for trial in counted)
    assert max(settings.values()) == 1  # none twice
    assert sum(trial.user_attrs.get("origin") == "experiment" for trial in counted) == 1

    runs = mlflow.search_runs(search_all_experiments=True, max_results=1000)
    assert "RUNNING" not in set(runs["status"])
    parents = runs[runs["tags.tiledseg.kind"] == "sweep"]
    assert list(parents["status"]) == ["FINISHED"]
    status = dict(zip(runs["run_id"], runs["status"], strict=True))
    for trial in counted:
        wanted_status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}[trial.state.name]
        assert status[trial.user_attrs["run_id"]] == wanted_status


def test_a_trial_a_worker_and_the_sweep_killed_one_after_the_other():
    process = started(trials=8, workers=2)
    me = psutil.Process(process.pid)
    for victim in ("fake_trial", "tiledseg.tuning.worker"):
        ended = len(ledger.finished(trials()))
        wait_for(lambda ended=ended: len(ledger.finished(trials())) > ended)
        wait_for(lambda victim=victim: family(me, victim))[0].kill()
    wait_for(lambda: len(family(me, "tiledseg.tuning.worker")) == 2)  # a new one came
    below = me.children(recursive=True)
    process.kill()
    process.wait()
    _, left = psutil.wait_procs(below, timeout=60)
    assert not left  # they notice, tidy up and go
    running = [trial for trial in trials() if trial.state.name == "RUNNING"]
    assert len(running) <= 1  # that of the killed worker, if the new one has not looked yet
    assert started(trials=8, workers=2).wait(200) == 0
    check_books(8)


def test_killed_at_random_again_and_again():
    rng = random.Random(5)
    for _ in range(4):
        process = started(trials=12, workers=2)
        me = psutil.Process(process.pid)
        wait_for(lambda me=me, process=process: family(me, "worker") or process.poll() is not None)
        time.sleep(rng.uniform(0.0, 2.5))
        victims = [me, *me.children(recursive=True)] if process.poll() is None else []
        for victim in rng.sample(victims, min(len(victims), rng.randint(1, 3))):
            try:
                victim.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        time.sleep(rng.uniform(0.0, 0.5))
        process.kill()
        process.wait()
    assert started(trials=12, workers=2).wait(300) == 0
    check_books(12)


def test_a_polite_end_and_a_loss_of_power():
    process = started(trials=6, workers=2)
    me = psutil.Process(process.pid)
    wait_for(lambda: family(me, "fake_trial") and trials())
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert all(trial.state.name != "RUNNING" for trial in trials())
    runs = mlflow.search_runs(search_all_experiments=True)
    assert set(runs[runs["tags.tiledseg.kind"] == "sweep"]["status"]) == {"KILLED"}
    assert "RUNNING" not in set(runs["status"])

    process = started(trials=6, workers=2)
    me = psutil.Process(process.pid)
    wait_for(lambda: any(trial.state.name == "RUNNING" for trial in trials()))
    every = [me, *me.children(recursive=True)]
    for one in every:  # nobody is left to tidy up
        one.suspend()
    for one in every:
        one.kill()
    process.wait()
    assert started(trials=6, workers=2).wait(200) == 0
    check_books(6)
