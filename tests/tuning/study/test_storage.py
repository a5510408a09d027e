import subprocess
import sys
import time

import pytest

from tiledseg.errors import SweepError
from tiledseg.tuning.study.storage import StudyLock, check_url, default_storage, open_storage

HOLD = """
import sys, time
from tiledseg.tuning.study.storage import StudyLock, check_url
lock = StudyLock(check_url(sys.argv[1]), "s")
for _ in range(int(sys.argv[3])):
    with lock:
        with open(sys.argv[2]) as file:
            number = int(file.read())
        time.sleep(0.002)
        with open(sys.argv[2], "w") as file:
            file.write(str(number + 1))
print("done", flush=True)
sys.stdin.readline()
lock.acquire()
print("holding", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", ["'nonsense'", "sqlite:///", "postgresql://"]),
        ("mysql://localhost/x", ["mysql", "postgresql://"]),
        ("sqlite://", ["memory"]),
        ("sqlite:///:memory:", ["memory"]),
        ("postgresql://me:secret@127.0.0.1:9/x", ["127.0.0.1:9", "***", "--storage"]),
        ("sqlite:////proc/nowhere/x.db", ["/proc/nowhere/x.db", "--storage"]),
    ],
)
def test_storage_that_cannot_be_used(url, words):
    with pytest.raises(SweepError) as refused:
        open_storage(check_url(url))
    message = str(refused.value)
    assert "\n" not in message
    assert "secret" not in message
    for word in words:
        assert word in message, message


def test_where_studies_live(monkeypatch, tmp_path):
    assert default_storage("sqlite:////a/b/mlflow.db") == "sqlite:////a/b/sweeps.db"
    assert default_storage("sqlite:///mlflow.db") == "sqlite:///sweeps.db"
    assert default_storage("http://server:5000") == "sqlite:///sweeps.db"
    monkeypatch.setenv("TILEDSEG_STORAGE", "postgresql://server/x")
    assert default_storage("sqlite:///mlflow.db") == "postgresql://server/x"
    assert check_url("postgresql://server/x").drivername == "postgresql+psycopg"
    assert check_url("sqlite:///sweeps.db").database == str(tmp_path / "sweeps.db")


def test_one_holds_the_lock_and_death_lets_it_go(tmp_path):
    url, counter = f"sqlite:///{tmp_path}/sweeps.db", tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", HOLD, url, str(counter), "20"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        assert [process.stdout.readline() for process in both] == [b"done\n", b"done\n"]
        assert counter.read_text() == "40"
        both[0].stdin.write(b"hold it\n")
        both[0].stdin.flush()
        assert both[0].stdout.readline() == b"holding\n"
        lock = StudyLock(check_url(url), "s")
        assert lock._try_to_acquire() is None
        both[0].kill()
        both[0].wait()
        began = time.monotonic()
        with lock:
            assert time.monotonic() - began < 30
    finally:
        for process in both:
            process.kill()
            process.wait()
