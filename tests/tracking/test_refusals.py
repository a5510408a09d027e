"""What a server with a login, a private certificate and a bucket may refuse, each in one line."""

import json
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, replace

import mlflow
import pytest
import requests
from stores import DOCUMENTED
from typer.testing import CliRunner

from tiledseg import train
from tiledseg.cli import app
from tiledseg.errors import TrackingError
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking.checkpoints import find_checkpoint, send_checkpoint
from tiledseg.tracking.names import KIND_TAG, OWNER_TAG
from tiledseg.tracking.ownership import Owner
from tiledseg.tracking.packaging import PREDICTOR_FOLDER, make_package
from tiledseg.tracking.runs import open_run
from tiledseg.tracking.store import connect
from tiledseg.tracking.syncing import sync_run

pytestmark = pytest.mark.soak


@pytest.fixture
def store(start_store, monkeypatch):
    found = start_store(DOCUMENTED)
    found.visit(monkeypatch)
    return found


@pytest.fixture
def other(store):
    """Makes another person, who may look; gives the name and the variables of the login."""

    def make():
        name = f"person-{uuid.uuid4().hex[:8]}"
        return name, store.documented.add_person(name)

    return make


def log_in(patch, login):
    for name, value in login.items():
        patch.setenv(name, value)


def ask():
    """What a command says that asks the store, in one line."""
    with pytest.raises(TrackingError) as told:
        connect()
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_wrong_password_and_none(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-the-secret-one")
    said = ask()
    assert "does not know user 'ada' with this password; check MLFLOW_TRACKING_USERNAME" in said
    assert "not-the-secret-one" not in said
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    assert "wants a login; set MLFLOW_TRACKING_USERNAME" in ask()


def test_a_login_in_the_address_is_one(store, monkeypatch):
    user, password = (store.environment[f"MLFLOW_TRACKING_{n}"] for n in ("USERNAME", "PASSWORD"))
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    mlflow.set_tracking_uri(store.server.address.replace("//", f"//{user}:{password}@"))
    assert connect().search_experiments()


def test_a_certificate_that_is_not_trusted_and_one_that_is_not_there(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", "nowhere.crt")
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH='nowhere.crt': there is no such file" in ask()
    monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
    said = ask()
    assert "is not trusted (self-signed certificate); let MLFLOW_TRACKING_SERVER_CERT_PATH" in said
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    assert connect().search_experiments()


def test_a_certificate_of_another_name(store):
    mlflow.set_tracking_uri(store.server.address.replace("localhost", "127.0.0.1"))
    assert "not valid for '127.0.0.1'); let MLFLOW_TRACKING_SERVER_CERT_PATH" in ask()


def test_tls_with_a_server_that_has_none(store):
    plain = store.bucket.meta.client.meta.endpoint_url
    mlflow.set_tracking_uri(plain.replace("http:", "https:"))
    assert "cannot be spoken with by TLS" in ask()


def test_who_may_only_look_trains_nothing(store, other, tiny_dataset, tiny_experiment, monkeypatch):
    client = mlflow.MlflowClient()
    experiment_id = client.create_experiment("Tiny")
    tiny_dataset()
    name, login = other()
    log_in(monkeypatch, login)
    with pytest.raises(TrackingError, match=f"does not let user '{name}' do this .mlflow/runs/cre"):
        train(tiny_experiment())
    assert not client.search_runs([experiment_id])
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output


def test_a_model_of_somebody_else_is_left_alone_and_the_run_is_sent_when_it_may_be(
    store, other, tiny_dataset, tiny_experiment, monkeypatch, tmp_path
):
    client = mlflow.MlflowClient()
    experiment_id = client.create_experiment("Tiny")
    client.create_registered_model("Tiny")
    name, login = other()
    store.documented.grant(name, "experiment", experiment_id, "MANAGE")
    log_in(monkeypatch, login)
    tiny_dataset()
    (tmp_path / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    command = [sys.executable, "-m", "tiledseg", "train", "--experiment", "Tiny.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (run,) = client.search_runs([experiment_id])
    said = done.stderr.strip().splitlines()[-1]
    assert f"does not let user '{name}' do this (mlflow/model-versions/create)" in said
    assert f"`tiledseg sync {run.info.run_id}` sends it" in said
    assert "Traceback" not in done.stderr
    assert not client.search_model_versions("name = 'Tiny'")
    store.documented.grant(name, "registered_model", "Tiny", "EDIT")
    assert sync_run(run.info.run_id).status == "FINISHED"
    (version,) = client.search_model_versions("name = 'Tiny'")
    assert version.run_id == run.info.run_id


def test_who_may_write_and_not_delete_is_told_once_what_stays(
    store, other, tiny_experiment, tmp_path, monkeypatch, caplog
):
    client = mlflow.MlflowClient()
    experiment_id = client.create_experiment("Tiny")
    name, login = other()
    store.documented.grant(name, "experiment", experiment_id, "EDIT")
    log_in(monkeypatch, login)
    run_id = client.create_run(experiment_id).info.run_id
    predictor = Predictor(build_model(tiny_experiment().model, 3), tiny_experiment())
    for epoch in (1, 2, 3):
        package = tmp_path / f"package{epoch}"
        make_package(package)
        predictor.save(package / PREDICTOR_FOLDER)
        content = {"epoch": epoch, "best": [epoch], "metrics": []}
        send_checkpoint(client, run_id, content, package)
    said = [record.message for record in caplog.records if "stay in the store" in record.message]
    assert len(said) == 1
    assert f"does not let user '{name}' do this" in said[0]
    assert find_checkpoint(client, run_id, 3)
    with pytest.raises(TrackingError, match=r"it keeps: 3$"):
        find_checkpoint(client, run_id, 2)


@pytest.fixture
def no_bucket(store):
    store.bucket.delete()
    yield
    store.bucket.create()


def test_a_bucket_that_is_not_there(store, no_bucket, tiny_experiment):
    with (
        pytest.raises(TrackingError, match=r"cannot keep or give the files of runs \(status 500\)"),
        open_run(tiny_experiment(), "train") as run,
    ):
        run.log_experiment(tiny_experiment())
    client = mlflow.MlflowClient()
    (failed,) = client.search_runs([client.get_experiment_by_name("Tiny").experiment_id])
    assert failed.info.status == "FAILED"
    facts = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert "cannot keep or give the files of runs" in facts["store"]["problem"]


def test_a_login_in_mlflows_own_file(store, monkeypatch, tmp_path):
    lines = ["[mlflow]"]
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        lines.append(f"{name.lower()} = {store.environment[name]}")
        monkeypatch.delenv(name)
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text("\n".join(lines))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert connect().search_experiments()


def test_its_pages_are_for_those_who_come_from_them(store):
    """A browser says where a page came from; nobody else's page may use a visitor's login."""
    login = tuple(store.environment[f"MLFLOW_TRACKING_{n}"] for n in ("USERNAME", "PASSWORD"))
    statuses = [
        requests.post(
            f"{store.server.address}/ajax-api/2.0/mlflow/experiments/search",
            json={"max_results": 1},
            headers={"Origin": origin},
            auth=login,
            verify=store.environment["MLFLOW_TRACKING_SERVER_CERT_PATH"],
        ).status_code
        for origin in (store.server.address, "https://elsewhere.example")
    ]
    assert statuses == [200, 403]


def test_a_dead_run_of_somebody_else_is_left_open_and_others_are_closed(store, other, monkeypatch):
    client = mlflow.MlflowClient()
    name, login = other()
    owner = replace(Owner.this_process(), host="elsewhere", heartbeat=time.time() - 3600)
    tags = {OWNER_TAG: json.dumps(asdict(owner)), KIND_TAG: "train"}
    theirs = client.create_run(client.create_experiment("Tiny"), tags=tags).info.run_id
    log_in(monkeypatch, login)
    own = client.create_run(client.create_experiment("Own"), tags=tags).info.run_id
    done = CliRunner().invoke(app, ["doctor", "--repair", "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    facts = json.loads(done.stdout)
    found = {each["run"]: each for each in facts["dead_runs"]}
    assert found[own]["closed"] and not found[theirs]["closed"]
    assert f"does not let user '{name}' do this" in found[theirs]["problem"]
    statuses = [client.get_run(run_id).info.status for run_id in (own, theirs)]
    assert statuses == ["KILLED", "RUNNING"]


def test_a_database_that_is_away(store):
    with store.without_database():
        assert "answers with status 503; look at its log: its database may be away" in ask()
    assert connect().search_experiments()
