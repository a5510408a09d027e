"""Temporary folders go with their process, however that ends."""

import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tiledseg.data.scratch import ScratchFolder, open_scratch, remove_dead


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_a_folder_goes_with_its_block(tmp_path):
    with open_scratch("test") as place:
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert place.parent == tmp_path / "tmp"
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
        remove_dead()
        assert other.is_dir() and own.path.is_dir()  # both live
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    remove_dead()
    assert not other.exists()
    assert own.path.is_dir()
    own.close()
    own.close()
    assert not list((tmp_path / "tmp").iterdir())


def test_many_make_and_remove_at_once(tmp_path):
    """Nobody takes a folder that is being made for one that was left."""
    code = (
        "from tiledseg.data.scratch import open_scratch\n"
        "for number in range(60):\n"
        "    with open_scratch('busy') as place:\n"
        "        (place / 'a').write_text('a')\n"
        "        assert (place / 'a').read_text() == 'a'\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert not list((tmp_path / "tmp").iterdir())
