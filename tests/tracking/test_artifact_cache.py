import os
import time

import pytest

from tiledseg.errors import OutputError
from tiledseg.tracking import artifact_cache
from tiledseg.tracking.artifact_cache import keep, mark_used, open_fetch_folder, run_cache_folder

HOUR = 3600.0


@pytest.fixture
def fetch(monkeypatch):
    """Fetch a file of some bytes that is used for the last time some hours ago."""
    monkeypatch.setattr(artifact_cache, "PAUSE_SECONDS", -1.0)

    def make(name, size=10, hours=0):
        with open_fetch_folder() as folder:
            (folder / "file").write_bytes(bytes(size))
            os.utime(folder / "file", (time.time() - hours * HOUR,) * 2)
            keep(folder / "file", run_cache_folder() / name)

    return make


def kept():
    home = run_cache_folder()
    files = (path for path in home.rglob("*") if path.is_file())
    return {path.relative_to(home).as_posix() for path in files} - {artifact_cache._CHECKED}


def test_those_not_used_for_longest_make_room(fetch, monkeypatch):
    monkeypatch.setattr(artifact_cache, "MOST_BYTES", 35)
    for number, hours in enumerate((4, 5, 3)):
        fetch(f"run{number}/a.png", hours=hours)
    assert kept() == {"run0/a.png", "run1/a.png", "run2/a.png"}
    fetch("run3/a.png", hours=2)
    assert kept() == {"run0/a.png", "run2/a.png", "run3/a.png"}
    mark_used(run_cache_folder() / "run0" / "a.png")
    fetch("run4/a.png", size=20, hours=2)
    assert kept() == {"run0/a.png", "run4/a.png"}


def test_what_is_in_use_stays(fetch, monkeypatch):
    monkeypatch.setattr(artifact_cache, "MOST_BYTES", 0)
    fetch("run/a.png")
    fetch("run/b.png", hours=2)
    assert kept() == {"run/a.png"}


def test_files_are_not_measured_at_every_fetch(fetch, monkeypatch):
    monkeypatch.setattr(artifact_cache, "MOST_BYTES", 0)
    monkeypatch.setattr(artifact_cache, "PAUSE_SECONDS", 60.0)
    fetch("run/a.png", hours=2)
    assert not kept()
    fetch("run/b.png", hours=2)
    assert kept() == {"run/b.png"}


def test_what_killed_processes_were_fetching_is_removed(fetch):
    abandoned = run_cache_folder() / ".fetching-a"
    abandoned.mkdir(parents=True)
    os.utime(abandoned, (time.time() - 2 * HOUR,) * 2)
    fetch("run/a.png")
    assert not abandoned.exists()
    assert kept() == {"run/a.png"}


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="TILEDSEG_CACHE"), open_fetch_folder():
        pass
