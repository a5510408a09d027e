"""A place belongs to one process at a time, although the lock's file comes and goes."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock, Thread

import pytest

from tiledseg.errors import OutputError
from tiledseg.images.place_lock import PlaceLock, hold, take_turn

HOLDER = """
import sys, time
from pathlib import Path
from tiledseg.images.place_lock import PlaceLock
lock = PlaceLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(float(sys.argv[2]))
lock.release()
"""


@pytest.fixture
def hold_elsewhere(tmp_path):
    """Starts a process that holds ``tmp_path/slide`` for some seconds."""
    started = []

    def start(seconds):
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "slide"), str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_others_are_refused_until_it_is_released(tmp_path):
    first = PlaceLock(tmp_path / "slide")
    with pytest.raises(OutputError, match=r"slide: this process is writing it; try later"):
        PlaceLock(tmp_path / "slide", "try later")
    PlaceLock(tmp_path / "slide-2").release()
    first.release()
    first.release()
    assert list(tmp_path.iterdir()) == []
    PlaceLock(tmp_path / "slide").release()


def test_they_are_told_which_process_has_it(tmp_path, hold_elsewhere):
    process = hold_elsewhere(60)
    expected = rf"slide: process {process.pid} on {socket.gethostname()} is writing it; wait for it"
    with pytest.raises(OutputError, match=expected), hold(tmp_path / "slide"):
        pass


def test_what_a_killed_process_leaves_keeps_nobody_out(tmp_path, hold_elsewhere):
    process = hold_elsewhere(60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.name for path in tmp_path.iterdir()] == [".slide.lock"]
    with hold(tmp_path / "slide"), pytest.raises(OutputError, match="this process"):
        PlaceLock(tmp_path / "slide")
    assert list(tmp_path.iterdir()) == []


def test_who_waits_says_for_whom(tmp_path, hold_elsewhere, caplog):
    caplog.set_level("INFO")
    process = hold_elsewhere(0.5)
    began = time.monotonic()
    with hold(tmp_path / "slide", waits=True):
        assert process.wait(5) == 0
    assert time.monotonic() - began < 30
    assert f"process {process.pid} on" in caplog.text


def test_never_two_at_once(tmp_path):
    inside, taken = Lock(), []

    def take_often(_):
        for _ in range(300):
            try:
                lock = PlaceLock(tmp_path / "slide")
            except OutputError:
                continue
            assert inside.acquire(blocking=False), "two hold it"
            taken.append(True)
            inside.release()
            lock.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take_often, range(4)))
    assert taken
    assert list(tmp_path.iterdir()) == []


def test_turns_come_one_after_the_other(tmp_path):
    inside = Lock()

    def work():
        with take_turn(tmp_path / "entry"):
            assert inside.acquire(blocking=False), "two at once"
            time.sleep(0.02)
            inside.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: work(), range(12)))
    assert list(tmp_path.iterdir()) == []


def test_where_no_lock_can_be_had_nobody_waits(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with take_turn(tmp_path / "file" / "entry"):
        done = []
        thread = Thread(target=lambda: done.append(True))
        thread.start()
        thread.join()
    assert done
    with (
        pytest.raises(OutputError, match="cannot be written"),
        hold(tmp_path / "file" / "entry"),
    ):
        pass


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 250 + ".png"])
def test_the_longest_names_are_held_and_told_apart(tmp_path, name):
    with hold(tmp_path / name), hold(tmp_path / (name[:-1] + "x")):
        assert len(list(tmp_path.iterdir())) == 2
