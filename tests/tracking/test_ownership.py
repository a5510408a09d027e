"""One process per run: the living keep it, the dead and the sleeping lose it."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import mlflow
import psutil
import pytest

from tiledseg.errors import TrackingError
from tiledseg.tracking import ownership
from tiledseg.tracking.names import OWNER_TAG
from tiledseg.tracking.ownership import LostRunError, Owner, Ownership


@pytest.fixture(autouse=True)
def _settled_soon(monkeypatch):
    monkeypatch.setattr(ownership, "SETTLE_SECONDS", 0.0)


@pytest.fixture
def client():
    return mlflow.MlflowClient()


@pytest.fixture
def run_id(client):
    return client.create_run("0").info.run_id


def put(client, run_id, owner):
    client.set_tag(run_id, OWNER_TAG, json.dumps(asdict(owner)))


@pytest.fixture
def process():
    """A process that sleeps; its owner as it would have written itself."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    started = psutil.Process(child.pid).create_time()
    own = replace(Owner.this_process(), process=child.pid, started=started)
    yield child, own
    if child.poll() is None:
        child.kill()
        child.wait()


def test_a_living_process_keeps_its_run(client, run_id, process):
    _, owner = process
    put(client, run_id, owner)
    with pytest.raises(TrackingError, match=rf"belongs to process {owner.process} on "):
        Ownership(client, run_id)
    assert Owner.read(client.get_run(run_id).data.tags) == owner


@pytest.mark.parametrize("how", ["killed", "stopped", "number used again"])
def test_a_dead_or_sleeping_one_loses_it(client, run_id, process, how):
    child, owner = process
    if how == "killed":
        child.kill()
        child.wait()
    elif how == "stopped":
        os.kill(child.pid, signal.SIGSTOP)
        while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
    else:
        owner = replace(owner, started=owner.started - 1000.0)
    put(client, run_id, owner)
    Ownership(client, run_id).check()


def test_on_another_host_the_heartbeat_tells(client, run_id):
    far = replace(Owner.this_process(), host="elsewhere", process=1)
    put(client, run_id, far)
    with pytest.raises(TrackingError, match=r"process 1 on elsewhere, last heard of [01] s ago"):
        Ownership(client, run_id)
    put(client, run_id, replace(far, heartbeat=time.time() - ownership.DEAD_SECONDS - 1))
    Ownership(client, run_id).check()


def test_who_lost_it_is_told_and_changes_nothing(client, run_id, monkeypatch):
    first = Ownership(client, run_id)
    first.renew()
    monkeypatch.setattr(Owner, "is_alive", lambda _: False)
    second = Ownership(client, run_id)
    before = client.get_run(run_id).data.tags
    for act in (first.check, first.renew):
        with pytest.raises(LostRunError, match=f"run {run_id} belongs to process"):
            act()
    assert client.get_run(run_id).data.tags == before
    second.renew()
    second.release()
    with pytest.raises(LostRunError, match="belongs to nobody"):
        second.check()


def test_a_heartbeat_is_written_now_and_then(client, run_id, monkeypatch):
    held = Ownership(client, run_id)
    began = Owner.read(client.get_run(run_id).data.tags)
    held.renew()
    assert Owner.read(client.get_run(run_id).data.tags) == began
    monkeypatch.setattr(ownership, "HEARTBEAT_SECONDS", 0.0)
    held.renew()
    assert Owner.read(client.get_run(run_id).data.tags).heartbeat > began.heartbeat


def test_of_many_at_once_one_gets_it(client, run_id):
    def take(_):
        try:
            return Ownership(mlflow.MlflowClient(), run_id)
        except TrackingError:
            return None

    with ThreadPoolExecutor(8) as pool:
        holders = [held for held in pool.map(take, range(8)) if held]
    assert len(holders) == 1
    holders[0].check()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 1}'])
def test_a_tag_that_cannot_be_read_is_nobody(text):
    assert Owner.read({OWNER_TAG: text}) is None
