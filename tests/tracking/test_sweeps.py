import time

import mlflow
import pytest
from stores import on_every_store

from tiledseg.errors import TrackingError
from tiledseg.tracking import heartbeat
from tiledseg.tracking.names import (
    ERROR_TAG,
    FEASIBLE_TAG,
    HEARTBEAT_TAG,
    KIND_TAG,
    OBJECTIVE_TAG,
    ORIGIN_TAG,
    OUTCOME_TAG,
    PARENT_TAG,
    REASON_TAG,
    RUN_TAG,
    TRIAL_TAG,
)
from tiledseg.tracking.run_ids import LAUNCHER_VARIABLE
from tiledseg.tracking.runs import open_run
from tiledseg.tracking.sweeps import (
    TrialEnd,
    end_dead_runs,
    end_trial_run,
    open_study_run,
    start_trial_run,
)

pytestmark = on_every_store


@pytest.fixture
def client():
    return mlflow.MlflowClient()


def status(client, run_id):
    return client.get_run(run_id).info.status


def test_a_study_has_one_run_however_often_it_is_opened(client):
    with open_study_run("Tiny", "Tiny-default", "1") as first:
        assert status(client, first.run_id) == "RUNNING"
    assert status(client, first.run_id) == "FINISHED"
    with pytest.raises(KeyboardInterrupt), open_study_run("Tiny", "Tiny-default", "1") as second:
        raise KeyboardInterrupt
    assert second.run_id == first.run_id
    assert status(client, first.run_id) == "KILLED"
    with pytest.raises(ValueError, match="x"), open_study_run("Tiny", "Tiny-default", "1"):
        raise ValueError("x")
    assert status(client, first.run_id) == "FAILED"
    assert client.get_run(first.run_id).data.tags[ERROR_TAG] == "x"
    with open_study_run("Tiny", "Tiny-default", "1"):
        pass
    assert ERROR_TAG not in client.get_run(first.run_id).data.tags
    with open_study_run("Tiny", "Tiny-default", "2") as other:  # another study of that name
        assert other.run_id != first.run_id
    found = client.get_run(first.run_id)
    assert found.info.run_name == "Tiny-default"
    assert found.data.tags[KIND_TAG] == "sweep"


def test_a_sweep_says_that_it_lives(client, monkeypatch):
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.05)
    with open_study_run("Tiny", "Tiny-default", "1") as run:
        assert heartbeat.is_dead({HEARTBEAT_TAG: "0"})
        client.set_tag(run.run_id, HEARTBEAT_TAG, "0")
        deadline = time.monotonic() + 30
        while heartbeat.is_dead(client.get_run(run.run_id).data.tags):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    client.set_tag(run.run_id, HEARTBEAT_TAG, "0")
    time.sleep(0.2)  # the thread has ended with the sweep
    assert client.get_run(run.run_id).data.tags[HEARTBEAT_TAG] == "0"


def test_a_study_that_was_killed_at_once_finds_its_run_again(client, monkeypatch):
    made, create_run = [], mlflow.MlflowClient.create_run

    def created_and_killed(*args, **kwargs):
        made.append(create_run(*args, **kwargs).info.run_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "create_run", created_and_killed)
        with pytest.raises(KeyboardInterrupt), open_study_run("Tiny", "Tiny-default", "1"):
            pass
    assert status(client, made[0]) == "RUNNING"
    with open_study_run("Tiny", "Tiny-default", "1") as again:
        assert [again.run_id] == made
    assert status(client, made[0]) == "FINISHED"


def test_what_mlflow_run_made_points_to_the_study(client, monkeypatch):
    with open_study_run("Tiny", "Tiny-default", "1") as first:
        pass
    elsewhere = client.create_run("0").info.run_id
    monkeypatch.setenv(LAUNCHER_VARIABLE, elsewhere)
    with open_study_run("Tiny", "Tiny-default", "1") as second:
        assert second.run_id == first.run_id
    assert client.get_run(elsewhere).data.tags[RUN_TAG] == first.run_id
    monkeypatch.setenv(LAUNCHER_VARIABLE, elsewhere)
    with open_study_run("Tiny", "Another", "3") as third:
        assert third.run_id not in (first.run_id, elsewhere)


def test_a_trial_fills_the_run_that_was_made_for_it(client, tiny_experiment, monkeypatch):
    with open_study_run("Tiny", "Tiny-default", "1") as study:
        run_id = start_trial_run(study.run_id, 7, {ORIGIN_TAG: "source"})
        monkeypatch.setenv(LAUNCHER_VARIABLE, run_id)
        with open_run(tiny_experiment(), "train") as run:
            assert run.run_id == run_id
        tags = {FEASIBLE_TAG: "true", OBJECTIVE_TAG: '{"valid/tiled/dice": 0.5}'}
        end = TrialEnd("FINISHED", "complete", tags=tags)
        end_trial_run(run_id, end, {"peak_memory_gb": 1.5})
    found = client.get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "Tiny-default 007"
    assert found.data.tags[PARENT_TAG] == study.run_id
    assert found.data.tags[KIND_TAG] == "trial"
    assert found.data.tags[TRIAL_TAG] == "7"
    assert found.data.tags[OUTCOME_TAG] == "complete"
    assert found.data.tags["tiledseg.origin"] == "source"
    assert found.data.tags["tiledseg.feasible"] == "true"
    assert found.data.tags["tiledseg.objective"] == '{"valid/tiled/dice": 0.5}'
    assert found.data.metrics["peak_memory_gb"] == 1.5


def test_the_reason_of_an_early_end(client):
    with open_study_run("Tiny", "Tiny-default", "1") as study:
        run_id = start_trial_run(study.run_id, 0, {})
        end = TrialEnd("KILLED", "pruned", "pruned after epoch 2")
        end_trial_run(run_id, end, {}, "the log")
    assert status(client, run_id) == "KILLED"
    assert client.get_run(run_id).data.tags[REASON_TAG] == "pruned after epoch 2"
    assert [file.path for file in client.list_artifacts(run_id)] == ["trial.log"]


def test_runs_of_the_dead_are_closed_and_others_are_not(client):
    with open_study_run("Tiny", "Tiny-default", "1") as study:
        dead, living, ended = (start_trial_run(study.run_id, n, {}) for n in range(3))
        end_trial_run(ended, TrialEnd("FAILED", "error"), {})
        stranger = client.create_run(client.get_run(dead).info.experiment_id).info.run_id
        assert end_dead_runs(study.run_id, {1}, "its worker died") == [dead]
        assert status(client, dead) == "KILLED"
        assert client.get_run(dead).data.tags[REASON_TAG] == "its worker died"
        assert status(client, living) == status(client, stranger) == "RUNNING"
        assert status(client, ended) == "FAILED"


def test_a_parent_that_is_not_there():
    with pytest.raises(TrackingError, match="nobody"):
        start_trial_run("nobody", 0, {})
