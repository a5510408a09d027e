"""The run that a job logs to."""

import pytest
from stores import on_every_store

from tiledseg.errors import TrackingError
from tiledseg.tracking.names import KIND_TAG
from tiledseg.tracking.runs import open_run

pytestmark = on_every_store


def only_run(client, name="Tiny"):
    (run,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    return run


def test_what_mlflow_run_made_points_to_the_resumed_run(client, tiny_experiment, monkeypatch):
    with pytest.raises(KeyboardInterrupt), open_run(tiny_experiment(), "train") as first:
        raise KeyboardInterrupt
    launcher = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", launcher)
    with open_run(tiny_experiment(), "train", resume=first.run_id):
        pass
    pointer = client.get_run(launcher).data.tags
    assert (pointer[KIND_TAG], pointer["tiledseg.run_id"]) == ("launcher", first.run_id)


def test_started_by_mlflow_run_in_the_right_experiment(client, tiny_experiment, monkeypatch):
    launcher = client.create_run(client.create_experiment("Tiny"))
    monkeypatch.setenv("MLFLOW_RUN_ID", launcher.info.run_id)
    with open_run(tiny_experiment(), "train") as run:
        assert run.run_id == launcher.info.run_id


def test_started_by_mlflow_run_in_another_experiment(client, tiny_experiment, monkeypatch):
    launcher = client.create_run("0", tags={"mlflow.source.git.commit": "abc"})
    monkeypatch.setenv("MLFLOW_RUN_ID", launcher.info.run_id)
    with open_run(tiny_experiment(), "train") as run:
        pass
    found = only_run(client)
    assert found.data.tags["mlflow.source.git.commit"] == "abc"
    pointer = client.get_run(launcher.info.run_id).data.tags
    assert pointer["tiledseg.run_id"] == run.run_id
    assert run.run_id in pointer["mlflow.note.content"]


def test_a_deleted_experiment_is_named_with_the_remedy(client, tiny_experiment):
    client.delete_experiment(client.create_experiment("Tiny"))
    with pytest.raises(TrackingError, match="restore"), open_run(tiny_experiment(), "train"):
        pass


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("postgresql://me:SEC/R@T@db:5432/optuna", "postgresql://me:***@db:5432/optuna"),
        ("postgresql://db/optuna?user=me&password=SECRET&x=1", "postgresql://db/optuna?user=me&"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
    ],
)
def test_the_command_is_kept_without_passwords(client, tiny_experiment, monkeypatch, word, shown):
    monkeypatch.setattr("sys.argv", ["tiledseg", "sweep", "--storage", word])
    with open_run(tiny_experiment(), "train"):
        pass
    kept = only_run(client).data.tags["mlflow.source.name"]
    assert kept.startswith(f"tiledseg sweep --storage {shown}")
    assert "SEC" not in kept
