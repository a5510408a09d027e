import os
import time

import pytest

from tiledseg.data import disk_quota
from tiledseg.data.disk_quota import (
    ABANDONED_SECONDS,
    free_space,
    list_files,
    read_quota,
    remove_abandoned,
)
from tiledseg.errors import TiledsegError

HOUR = 3600.0


@pytest.fixture
def entry(tmp_path):
    """Make a file, or a folder with files, that was used some hours ago."""

    def make(name, *sizes, hours):
        path = tmp_path / name
        if len(sizes) == 1:
            path.write_bytes(bytes(sizes[0]))
        else:
            (path / "inside").mkdir(parents=True)
            for number, size in enumerate(sizes):
                (path / "inside" / str(number)).write_bytes(bytes(size))
        moment = time.time() - hours * HOUR
        os.utime(path, (moment, moment))
        return path

    return make


def test_files_and_folders_used_the_longest_ago_make_room(tmp_path, entry):
    old, folder = entry("old", 10, hours=4), entry("folder", 20, 30, hours=5)
    new, newest = entry("new", 40, hours=3), entry("newest", 10, hours=0)
    free_space(tmp_path.iterdir(), 110)
    assert all(path.exists() for path in (old, folder, new, newest))
    free_space(tmp_path.iterdir(), 109)
    assert not folder.exists()
    assert all(path.exists() for path in (old, new, newest))
    free_space(tmp_path.iterdir(), 0)
    assert list(tmp_path.iterdir()) == []


def test_the_one_that_is_kept_counts_and_stays(tmp_path, entry):
    kept, other = entry("kept", 60, hours=9), entry("other", 50, hours=0)
    free_space(tmp_path.iterdir(), 100, keep=kept)
    assert kept.exists()
    assert not other.exists()


def test_what_was_used_recently_stays_however_much_it_is(tmp_path, entry):
    old, recent = entry("old", 10, hours=2), entry("recent", 10, hours=0.5)
    free_space(tmp_path.iterdir(), 0, keep_seconds=HOUR)
    assert not old.exists()
    assert recent.exists()


def test_what_another_process_removes_is_passed_over(tmp_path, entry):
    """One entry is gone already; a file of another one goes while it is measured."""
    folder = entry("folder", 10, 10, hours=2)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    old = entry("old", 10, hours=3)
    free_space([tmp_path / "ghost", folder, old], 5)
    assert not old.exists()
    assert list(list_files(tmp_path / "ghost")) == []


def test_what_cannot_be_removed_makes_no_room(tmp_path, entry, monkeypatch):
    stuck, other = entry("stuck", 10, 10, hours=2), entry("other", 10, hours=1)
    monkeypatch.setattr(disk_quota.shutil, "rmtree", lambda *_, **__: None)
    free_space(tmp_path.iterdir(), 20)
    assert stuck.exists()
    assert not other.exists()


def test_abandoned_drafts_go_and_those_still_written_stay(tmp_path, entry):
    """A folder's own time stands still while a file in it grows."""
    hours = 2 * ABANDONED_SECONDS / HOUR
    abandoned, written = entry("abandoned", 10, 10, hours=hours), entry("written", 1, 1, hours=9)
    for file in list_files(abandoned):
        os.utime(file, (time.time() - hours * HOUR,) * 2)
    remove_abandoned([abandoned, written, tmp_path / "ghost"])
    assert not abandoned.exists()
    assert written.exists()


def test_a_quota_is_given_in_gigabytes(monkeypatch):
    monkeypatch.delenv("SOME_GB", raising=False)
    assert read_quota("SOME_GB", "8") == 8 * 2**30
    monkeypatch.setenv("SOME_GB", "0.5")
    assert read_quota("SOME_GB", "8") == 2**29


@pytest.mark.parametrize("text", ["8GB", "", "nan", "inf", "-1", "0", "1e308"])
def test_a_quota_that_is_no_number_is_told(monkeypatch, text):
    monkeypatch.setenv("SOME_GB", text)
    with pytest.raises(TiledsegError, match=rf"SOME_GB='{text}'.*such as 8"):
        read_quota("SOME_GB", "8")
