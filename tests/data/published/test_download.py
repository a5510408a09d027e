"""Fetching from a server of the test's own, with everything that goes wrong on the way."""

import errno
import hashlib
import http.client
import http.server
import re
import socket
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from watched_disk import watch_disk

from tiledseg.data.published import download as module
from tiledseg.data.published.download import download
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.place_lock import hold

CONTENT = np.random.default_rng(3).bytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; ``faults`` are what it does to requests, one after the other."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[str] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault.isdigit():
            self.send_error(int(fault))
            return
        start = 0
        if wanted and self.server.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(CONTENT):
                self.send_error(416)
                return
        rest = CONTENT[start:]
        self.send_response(206 if start else 200)
        if fault != "no length":
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(rest[: len(rest) // 2] if fault == "break off" else rest)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "archive.zip"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_arrives_with_progress_and_is_not_fetched_twice(server, path):
    seen = []
    download(server.url, path, SHA256, lambda here, total: seen.append((here, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)
    download(server.url, path, SHA256)
    assert len(server.ranges) == 1
    assert [item.name for item in path.parent.iterdir()] == ["archive.zip"]


def test_a_connection_that_breaks_off_is_taken_up_again(server, path):
    server.faults = ["break off", "break off", "503"]
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT
    half = len(CONTENT) // 2
    later = half + (len(CONTENT) - half) // 2
    assert server.ranges == [None, f"bytes={half}-", f"bytes={later}-", f"bytes={later}-"]


def test_the_next_call_goes_on_where_the_last_one_gave_up(server, path):
    server.faults = ["break off", "500", "502", "503", "504"]
    with pytest.raises(DatasetError, match=r"504 .*; 350000 bytes are here"):
        download(server.url, path, SHA256)
    assert not path.exists()
    server.ranges.clear()
    download(server.url, path, SHA256)
    assert server.ranges == ["bytes=350000-"]
    assert path.read_bytes() == CONTENT


def test_a_server_that_knows_no_ranges_sends_it_all_again(server, path):
    server.faults, server.knows_ranges = ["break off"], False
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_complete_but_never_renamed(server, path):
    path.parent.mkdir()
    Path(f"{path}.part").write_bytes(CONTENT)
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_without_a_length(server, path):
    server.faults = ["no length"]
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_kept_and_fetched_anew(server, path):
    with pytest.raises(DatasetError, match=f"checksum .SHA-256 {SHA256} instead of 0{{64}}"):
        download(server.url, path, "0" * 64)
    assert not path.exists()
    assert Path(f"{path}.refused").read_bytes() == CONTENT
    download(server.url, path, SHA256)
    assert server.ranges == [None, None]


def test_bytes_that_were_spoiled_before_it_went_on(server, path):
    path.parent.mkdir()
    Path(f"{path}.part").write_bytes(b"x" * 1000)
    with pytest.raises(DatasetError, match="another checksum"):
        download(server.url, path, SHA256)
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_another_file_of_that_name_stays(server, path):
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(DatasetError, match="move it away"):
        download(server.url, path, SHA256)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("status", ["404", "403", "410"])
def test_what_is_not_there_is_said_at_once(server, path, status):
    server.faults = [status] * 9
    with pytest.raises(DatasetError, match=f"{server.url}: the server answers {status} "):
        download(server.url, path, SHA256)
    assert len(server.ranges) == 1


def test_no_network(path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/archive.zip"
        with pytest.raises(DatasetError, match=r"cannot be reached \(.*refused.*; 0 bytes"):
            download(url, path, SHA256)


def test_a_network_that_goes_away_while_it_is_read(server, path, monkeypatch):
    def read(answer, size):
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    monkeypatch.setattr(http.client.HTTPResponse, "read", read)
    with pytest.raises(DatasetError, match=r"No route to host.*the same command goes on"):
        download(server.url, path, SHA256)


def test_silence(path, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/archive.zip"
        with pytest.raises(DatasetError, match="the same command goes on"):
            download(url, path, SHA256)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_the_disk_is_full(server, path):
    path.parent.mkdir()
    Path(f"{path}.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"No space left on device.*same command goes on"):
        download(server.url, path, SHA256)
    assert len(server.ranges) == 1
    Path(f"{path}.part").unlink()
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_no_room_is_said_before_anything_is_written(server, path, monkeypatch):
    usage = type("usage", (), {"free": 600_000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OutputError, match=r"1 MB are needed and 1 MB are free"):
        download(server.url, path, SHA256)
    assert not Path(f"{path}.part").exists()


def test_one_process_fetches_a_file(server, path):
    with hold(path), pytest.raises(OutputError, match=rf"{path.name}: .* is writing it"):
        download(server.url, path, SHA256)
    assert server.ranges == []


def test_a_file_is_on_the_disk_before_it_has_its_name(server, path, monkeypatch):
    disk = watch_disk(monkeypatch)
    download(server.url, path, SHA256)
    assert disk.named == [(path, True)]
