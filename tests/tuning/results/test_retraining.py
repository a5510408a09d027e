import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import mlflow
import pytest

from tiledseg.errors import SweepError, TrainingError
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import RETRAINING_FILE
from tiledseg.tuning.results.retraining import Retraining


@pytest.fixture
def retraining_of(tmp_path):
    """The retrained of a study, as another command sees them."""
    run_id = mlflow.MlflowClient().create_run(mlflow.create_experiment("Tiny")).info.run_id
    return lambda: Retraining("Tiny-default", STORAGE, run_id), run_id


STORAGE = "sqlite:///sweeps.db"


def test_what_is_trained_is_not_trained_again(ranking, retraining_of):
    retrained, run_id = retraining_of
    scores, trained = {0: 0.5, 1: 0.75, 2: 0.625}, []

    def train(candidate):
        if candidate.number == 2 and len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(candidate.number)
        return f"run{candidate.number}", scores[candidate.number]

    with pytest.raises(KeyboardInterrupt):
        retrained().run(ranking[:3], train)
    trained.clear()
    played = retrained().run(ranking[:3], train)
    assert trained == [2]
    assert [(final.number, final.score) for final in played] == [(1, 0.75), (2, 0.625), (0, 0.5)]
    assert [final.run_id for final in played] == ["run1", "run2", "run0"]
    assert len(RunFiles(run_id).path(RETRAINING_FILE).read_text().splitlines()) == 4
    assert retrained().run(ranking[:1], train)[0].run_id == "run0"
    assert trained == [2]


def test_two_commands_share_the_retraining(ranking, retraining_of, monkeypatch):
    monkeypatch.setattr("tiledseg.tuning.results.retraining.POLL_SECONDS", 0.05)
    retrained, _ = retraining_of
    trained, waits, claimed, go_on = [], [], threading.Event(), threading.Event()

    def slowly(candidate):
        trained.append(candidate.number)
        claimed.set()
        go_on.wait(60)
        return "theirs", 0.9

    def quickly(candidate):
        trained.append(candidate.number)
        return "ours", 0.5

    def wait(numbers):
        waits.append(numbers)
        go_on.set()

    with ThreadPoolExecutor() as pool:
        other = pool.submit(lambda: retrained().run(ranking[:2], slowly))
        claimed.wait(60)
        ours = retrained().run(ranking[:2], quickly, wait)
    assert sorted(trained) == [0, 1]
    assert waits == [[0]]
    assert [final.run_id for final in ours] == ["theirs", "ours"]
    assert other.result() == ours


KILLED = """
import os
from pathlib import Path
from tiledseg.config.experiment import load_experiment
from tiledseg.tuning.results.candidates import Candidate
from tiledseg.tuning.results.retraining import Retraining
retrained = Retraining("Tiny-default", "sqlite:///sweeps.db", os.environ["STUDY_RUN"])
best = Candidate(0, 0.9, False, load_experiment(Path("Tiny.yaml")))
retrained.run([best], lambda _: os.kill(os.getpid(), 9))
"""


def test_a_claim_of_the_dead_is_taken_over(ranking, retraining_of, tmp_path):
    retrained, run_id = retraining_of
    (tmp_path / "Tiny.yaml").write_text(ranking[0].experiment.to_yaml())
    environment = {**os.environ, "STUDY_RUN": run_id}
    dead = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert dead.returncode == -9
    assert retrained().run(ranking[:1], lambda _: ("ours", 0.5))[0].run_id == "ours"


def test_what_fails_is_told_to_all_and_tried_again_when_asked(ranking, retraining_of, monkeypatch):
    monkeypatch.setattr("tiledseg.tuning.results.retraining.POLL_SECONDS", 0.05)
    retrained, _ = retraining_of
    claimed, go_on = threading.Event(), threading.Event()

    def fail(_):
        claimed.set()
        go_on.wait(60)
        raise TrainingError("the loss is nan")

    with ThreadPoolExecutor() as pool:
        first = pool.submit(lambda: retrained().run(ranking[:1], fail))
        claimed.wait(60)
        with pytest.raises(SweepError, match="another machine: the loss is nan"):
            retrained().run(ranking[:1], fail, lambda _: go_on.set())
    with pytest.raises(TrainingError, match="the loss is nan"):
        first.result()
    assert retrained().run(ranking[:1], lambda _: ("ours", 0.5))[0].run_id == "ours"
