"""Entries arrive in order, each once, whatever the store does in between."""

import threading
from contextlib import ExitStack

import pytest
import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from tiledseg.errors import TrackingError
from tiledseg.tracking import sender as sender_module
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.sender import Sender
from tiledseg.tracking.store_problems import is_temporary


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(sender_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sender_module, "LONGEST_PAUSE", 0.02)


@pytest.fixture
def outbox(tmp_path):
    return Outbox(tmp_path)


class Store:
    """Takes entries, or is away; may never have been told that the last one arrived."""

    def __init__(self):
        self.taken, self.away = [], threading.Event()
        self.error = requests.ConnectionError("no route")

    def deliver(self, entry):
        if self.away.is_set():
            raise self.error
        self.taken.append(entry.content["number"])


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def start(outbox, store):
    with ExitStack() as started:
        yield lambda **options: started.enter_context(Sender(outbox, store.deliver, **options))


def test_in_order_each_once_before_and_after_the_start(outbox, store, start):
    for number in range(5):
        outbox.add("x", {"number": number})
    sender = start()
    for number in range(5, 10):
        outbox.add("x", {"number": number})
    assert sender.drain(5.0)
    assert store.taken == list(range(10))
    assert len(outbox) == 0


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("no route"),
        OperationalError("select", {}, Exception("database is locked")),
        MlflowException("API request failed: too many 500 error responses"),
    ],
)
def test_a_store_that_is_away_is_waited_for(outbox, store, start, error, caplog):
    store.error = error
    store.away.set()
    sender = start()
    for number in range(3):
        outbox.add("x", {"number": number})
    assert not sender.drain(0.2)
    assert len(outbox) == 3
    assert sum("does not answer" in record.message for record in caplog.records) == 1
    store.away.clear()
    assert sender.drain(5.0)
    assert store.taken == [0, 1, 2]


def test_what_the_store_refuses_is_raised(outbox, store, start):
    store.error = MlflowException("no such run", error_code=5)  # RESOURCE_DOES_NOT_EXIST
    assert not is_temporary(store.error)
    store.away.set()
    outbox.add("x", {"number": 1})
    sender = start()
    with pytest.raises(TrackingError, match="no such run"):
        sender.drain(5.0)
    with pytest.raises(TrackingError, match="no such run"):
        sender.check()
    assert len(outbox) == 1


def test_a_run_that_is_lost_is_sent_nothing_more(outbox, store, start):
    lost = threading.Event()

    def renew():
        if lost.is_set():
            raise TrackingError("it is another's")

    sender = start(renew=renew, pulse=0.01)
    outbox.add("x", {"number": 1})
    assert sender.drain(5.0)
    lost.set()
    for _ in range(500):
        if sender.error:
            break
        threading.Event().wait(0.01)
    outbox.add("x", {"number": 2})
    with pytest.raises(TrackingError, match="another's"):
        sender.drain(5.0)
    assert store.taken == [1]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/mlruns/1/artifacts"),
        OSError(122, "Disk quota exceeded"),
        MlflowException("could not copy: [Errno 28] No space left on device: 'a' -> 'b'"),
        OperationalError("INSERT", {}, Exception("database or disk is full")),
    ],
)
def test_a_store_without_room_gets_all_of_it_when_it_has_some(outbox, store, start, caplog, error):
    store.error = error
    store.away.set()
    outbox.add("x", {"number": 1})
    sender = start()
    assert not sender.drain(0.2)
    assert "is full" in caplog.text
    assert "kept until it is taken" in caplog.text
    store.away.clear()
    assert sender.drain(5.0)
    assert store.taken == [1]
