import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import mlflow
import pytest

from tiledseg.errors import TrackingError
from tiledseg.tracking.store import connect


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
