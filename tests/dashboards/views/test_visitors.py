"""Images of visitors, in a real browser: for them alone, and gone when they are."""

import os
import signal
import socket
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from dashboard_server import start_server, stop_server
from visitor import Visitor

IMAGE = "data/Discs/test/images/disc 4.png"
GONE = 4.0
"""Seconds after which a browser is gone for good."""
PATIENCE = 40.0
"""Seconds until a server has certainly seen that."""


@pytest.fixture
def place():
    """A temporary folder whose path is short enough for all that is made in it."""
    with tempfile.TemporaryDirectory(prefix="visitors-") as folder:
        yield Path(folder)


@pytest.fixture
def start(store, tmp_path, place):
    """Starts servers whose temporary files, and cache, are in one place."""
    running = []
    environment = {**store.environment, "TMPDIR": str(place), "TILEDSEG_CACHE": str(place / "c")}

    def begin():
        before = f"from dashboards import visits; visits.GONE_SECONDS = {GONE}"
        running.append(start_server(environment, tmp_path, before=before))
        return running[-1]

    yield begin
    for server in running:
        if server.process.poll() is None:
            stop_server(server)


def list_uploads(place):
    """Folders of visitors."""
    return list(place.glob("tiledseg-uploads-*/*"))


def upload(chromium, server, store, mode):
    visitor = Visitor(chromium, server.address)
    visitor.open(f"try?version=1&mode={mode}")
    visitor.page.locator("input[type=file]").set_input_files(store.folder / IMAGE)
    visitor.viewer()
    return visitor


def wait_for_nothing(place):
    end = time.monotonic() + PATIENCE
    while list_uploads(place) and time.monotonic() < end:
        time.sleep(0.2)
    assert not list_uploads(place)


@pytest.mark.parametrize(
    "visits",
    [
        pytest.param(3, marks=pytest.mark.soak),
        pytest.param(20, marks=[pytest.mark.soak_long, pytest.mark.timeout(1800)]),
    ],
)
def test_no_pixel_outlives_a_visit_or_a_killed_server(chromium, store, start, place, visits):
    server = start()
    visitors = []
    for number in range(visits):
        visitors.append(upload(chromium, server, store, ("resized", "both")[number % 2]))
        if number % 5 == 4:  # some leave before others come
            visitors.pop(0).close()
    folders = list_uploads(place)
    assert len(visitors) <= len(folders) <= visits
    images = [path for folder in folders for path in folder.rglob("*.p*") if path.is_file()]
    assert len(images) >= 3 * len(visitors)  # the image, a mask, and their pyramids
    for folder in (folders[0].parent, *folders):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for folder in folders for path in folder.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o700, 0o600}
    assert not list((place / "c").rglob("*.pixels")), "pixels of a visitor in the cache of all"
    for visitor in visitors:
        assert visitor.faults == []
        visitor.close()
    wait_for_nothing(place)
    last = upload(chromium, server, store, "resized")
    assert list_uploads(place)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    last.close()
    assert list_uploads(place)  # nobody could remove it
    start()
    assert not list_uploads(place)
    assert not list(place.rglob("*.pixels"))


class Line:
    """A line between browsers and a server, which can be cut."""

    def __init__(self, port):
        self._port, self._ends = port, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """End all connections; new ones can be made."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()
        self.cut()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.mark.soak
def test_a_connection_that_breaks_is_no_end_of_a_visit(chromium, store, start, place):
    server = start()
    line = Line(int(server.address.rpartition(":")[2]))
    visitor = upload(chromium, server._replace(address=line.address), store, "resized")
    before = list_uploads(place)
    line.cut()
    time.sleep(3 * GONE)
    visitor.settle()
    visitor.press("1", "+", "+")  # needs tiles that were not shown before
    assert list_uploads(place) == before
    visitor.close()
    wait_for_nothing(place)
    line.close()


@pytest.mark.soak
def test_an_image_that_is_taken_away_is_removed(chromium, store, start, place):
    visitor = upload(chromium, start(), store, "resized")
    (folder,) = list_uploads(place)
    assert (folder / "image.png").exists()
    visitor.page.get_by_role("button", name="Remove disc 4.png").click()
    visitor.page.locator(".stage").wait_for(state="detached")
    visitor.settle()
    assert not [path for path in folder.rglob("*") if path.is_file()]
    visitor.close()
