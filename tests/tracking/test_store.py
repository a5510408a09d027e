import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import mlflow
import pytest
from sqlalchemy.exc import OperationalError

from tiledseg.errors import RegistryError, TrackingError
from tiledseg.tracking import store
from tiledseg.tracking.registry import load_predictor
from tiledseg.tracking.store import connect, page_command, store_address


def test_the_default_store_answers():
    assert connect().search_experiments()


def test_nobody_at_the_servers_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")
    with pytest.raises(TrackingError, match=rf"127\.0\.0\.1:{port} does not answer.*start it"):
        connect()


def test_a_server_that_is_broken():
    class Broken(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(503)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        mlflow.set_tracking_uri(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(TrackingError, match="status 503"):
            connect()
    finally:
        server.shutdown()
        server.server_close()


def test_a_database_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI"):
        connect()


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("postgresql://mlflow:SECRET@db/mlflow", "postgresql://db/mlflow"),
        ("postgresql://mlflow:SEC/R@T@db:5432/mlflow", "postgresql://db:5432/mlflow"),
        ("postgresql://db/mlflow?user=mlflow&password=SECRET", "postgresql://db/mlflow"),
        ("https://me:SECRET@tracking.example", "https://tracking.example"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("mlruns", "mlruns"),
    ],
)
def test_an_address_is_shown_without_its_password(uri, address, monkeypatch):
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: uri)
    assert store_address() == address
    assert "SEC" not in page_command()


def test_no_message_holds_the_password(monkeypatch):
    uri = "postgresql://mlflow:SEC%21RET@127.0.0.1:9/mlflow"

    def fail(*_, **__):
        raise OperationalError(f"connect {uri}", None, Exception("wrong password SEC!RET"))

    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: uri)
    monkeypatch.setattr(mlflow.MlflowClient, "search_experiments", fail)
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", fail)
    monkeypatch.setattr("tiledseg.tracking.registry.connect", lambda: None)
    for use, error in ((connect, TrackingError), (lambda: load_predictor("Tiny"), RegistryError)):
        with pytest.raises(error, match=r"postgresql://127\.0\.0\.1:9/mlflow") as told:
            use()
        assert "SEC" not in str(told.value)


def test_a_server_that_says_the_password_is_not_repeated():
    mlflow.set_tracking_uri("http://me:SECRET@127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"http://127\.0\.0\.1:9 does not answer") as told:
        connect()
    assert "SECRET" not in str(told.value)


def test_a_store_that_has_answered_is_not_asked_again_at_once(monkeypatch):
    asked = []
    search = mlflow.MlflowClient.search_experiments
    monkeypatch.setattr(
        mlflow.MlflowClient,
        "search_experiments",
        lambda client, *args, **kwargs: asked.append(1) or search(client, *args, **kwargs),
    )
    monkeypatch.setattr(store, "_answered", {})
    for _ in range(5):
        connect()
    assert len(asked) == 1
    with pytest.raises(TrackingError), store.store_errors():
        raise OSError("the disk is gone")
    connect()
    assert len(asked) == 2
    monkeypatch.setattr(store, "TRUSTED_SECONDS", 0.0)
    connect()
    assert len(asked) == 3


def test_a_full_disk_is_told_without_the_statement():
    def failing():
        with store.store_errors():
            reason = Exception("(sqlite3.OperationalError) database or disk is full")
            raise OperationalError("INSERT INTO runs VALUES (?)", {"run": "x"}, reason)

    with pytest.raises(TrackingError, match=r"disk is full; make room on its disk$") as told:
        failing()
    assert "INSERT" not in str(told.value)
