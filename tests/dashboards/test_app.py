"""The server: where it listens, whom it answers, and what it says when it cannot."""

import http.client
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from dashboard_server import start_server, stop_server

from dashboards.app import LOCAL, settings
from tiledseg.tracking import registry


def test_it_listens_on_this_machine_alone_unless_told():
    chosen = settings("127.0.0.1", 8501)
    assert chosen["server.address"] == "127.0.0.1"
    assert chosen["server.allowedHosts"] == list(LOCAL)
    assert "server.allowedHosts" not in settings("0.0.0.0", 8501)


def test_nothing_is_reported_to_anybody():
    assert settings("127.0.0.1", 1)["browser.gatherUsageStats"] is False


def test_a_port_in_use_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "tiledseg", "dashboard", "--port", port],
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "choose another with --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_room_that_is_no_number_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "tiledseg", "dashboard"],
        capture_output=True, text=True, check=False, timeout=180,
        env={**os.environ, "TILEDSEG_DASHBOARD_CACHE_GB": "8GB"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "TILEDSEG_DASHBOARD_CACHE_GB='8GB'" in done.stderr
    assert "Traceback" not in done.stderr


def answer_to(server, host, origin):
    """The status of the handshake that a browser at ``origin`` begins."""
    connection = http.client.HTTPConnection(server.address.partition("://")[2], timeout=60)
    connection.putrequest("GET", "/_stcore/stream", skip_host=True)
    headers = {
        "Host": host,
        "Origin": origin,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", "http://evil.example"),
        ("127.0.0.1", "http://evil.example"),
        ("evil.example", "http://127.0.0.1"),
    ],
)
def test_other_sites_are_not_answered(server, host, origin):
    assert answer_to(server, host, origin) == 403


def test_a_tile_of_thousands_of_digits_is_refused(server):
    """Not by the page, which answers whatever is no other address."""
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server.address}/tiles/{'0' * 32}/0/0/{'9' * 5000}")


def test_its_own_page_is_answered(server):
    assert answer_to(server, server.address.partition("://")[2], server.address) == 101


def test_a_proxys_name_is_answered_when_it_is_told(store, tmp_path):
    name = {"STREAMLIT_BROWSER_SERVER_ADDRESS": "masks.example"}
    server = start_server({**store.environment, **name}, tmp_path)
    try:
        assert answer_to(server, "masks.example", "https://masks.example") == 101
    finally:
        stop_server(server)


def test_pages_may_not_be_framed_by_others(server):
    with urllib.request.urlopen(server.address) as answer:
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["Referrer-Policy"] == "same-origin"


def test_nothing_comes_from_another_machine():
    """No address of another host in our scripts and styles, but the names of XML."""
    folder = Path(registry.__file__).parents[2] / "dashboards"
    scripts = [*folder.rglob("*.js"), *folder.rglob("*.css")]
    assert len(scripts) > 8
    for path in scripts:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and "@import" not in text, path


def test_help_does_not_load_streamlit():
    code = "import sys; from tiledseg.cli import app; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
