"""Temporary folders go with their process, however that ends."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tiledseg.data import scratch
from tiledseg.data.scratch import ScratchFolder, open_scratch, remove_dead


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)


def age(folder: Path) -> None:
    """Have a folder be older than it is."""
    long_ago = time.time() - 2 * scratch._YOUNG_SECONDS
    os.utime(folder.parent / ".lock", (long_ago, long_ago))


def test_a_folder_goes_with_its_block(tmp_path):
    with open_scratch("test") as place:
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
        assert place.parent.parent == tmp_path / "tmp"
        assert not list(place.iterdir())
        (place / "a").write_text("a")
    assert not list((tmp_path / "tmp").iterdir())


def test_what_a_killed_process_left_is_removed_and_what_is_used_is_not(tmp_path):
    code = (
        "import time; from tiledseg.data.scratch import ScratchFolder; "
        "folder = ScratchFolder('killed'); (folder.path / 'a').write_text('a'); "
        "print(folder.path, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        other = Path(process.stdout.readline().strip())
        own = ScratchFolder("own")
        for folder in (other, own.path):
            age(folder)
        remove_dead()
        assert other.is_dir() and own.path.is_dir()  # both live
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    os.utime(other.parent / ".lock")
    remove_dead()
    assert other.is_dir()  # so young that it may be about to get its lock
    age(other)
    remove_dead()
    assert not other.exists()
    assert own.path.is_dir()
    own.close()
    assert not own.path.exists()
