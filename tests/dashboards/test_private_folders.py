"""Visitors' images are seen by nobody else, and go with the visit."""

import signal
import stat
import subprocess
import sys
import tempfile
import threading

import numpy as np
import pytest

from dashboards import private_folders
from dashboards.private_folders import find_folder, home, make_folder, remove_folder, settle
from dashboards.pyramids import find_pyramid, open_pyramid
from dashboards.uploads import UploadFolder
from tiledseg.images.writing import write_image


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "cache"))
    before = home.__wrapped__
    monkeypatch.setattr(private_folders, "home", private_folders.cache(before))
    yield
    private_folders.home.cache_clear()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (700, 600, 3), np.uint8))
    return path


def modes(folder):
    return {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


def test_an_upload_and_what_is_made_of_it_lie_in_one_folder_for_its_owner(tmp_path, picture):
    folder = UploadFolder()
    upload = folder.accept("mine.png", picture.read_bytes())
    pyramid = open_pyramid(upload.path, "image")
    assert find_folder(upload.path) == find_folder(pyramid.folder) == folder.path
    assert modes(folder.path) == {0o700, 0o600}
    assert stat.S_IMODE(folder.path.parent.stat().st_mode) == 0o700
    assert not (tmp_path / "cache").exists()
    assert find_pyramid(upload.path, "image")
    folder.close()
    assert not list(folder.path.parent.iterdir())


def test_the_next_image_takes_the_place_of_the_last_one(picture):
    folder = UploadFolder()
    first = open_pyramid(folder.accept("a.png", picture.read_bytes()).path, "image")
    folder.accept("b.png", picture.read_bytes())
    assert not first.folder.exists()
    assert [path.name for path in folder.path.iterdir()] == ["image.png"]


def test_what_is_written_after_a_visitor_has_left_is_removed(picture):
    folder = UploadFolder()
    upload = folder.accept("mine.png", picture.read_bytes())
    remove_folder(folder.path)
    write_image(upload.path.with_name("tiled.png"), np.zeros((5, 5), np.uint8))
    settle(upload.path)
    assert not folder.path.exists()


def test_what_is_renamed_meanwhile_is_no_fault():
    """Several pyramids of one visitor are built at once, each as a draft that gets a name."""
    folder, faults = make_folder(), []

    def write(number):
        try:
            for turn in range(60):
                draft = folder / f"draft-{number}"
                draft.mkdir()
                (draft / "a").write_text("pixels")
                draft.rename(folder / f"done-{number}-{turn}")
                settle(folder / f"done-{number}-{turn}")
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert modes(folder) == {0o700, 0o600}


def test_other_files_are_let_be(picture):
    make_folder()
    mode = picture.stat().st_mode
    settle(picture)
    assert find_folder(picture) is None
    assert picture.stat().st_mode == mode


def test_the_next_server_removes_what_a_killed_one_has_left(tmp_path):
    code = (
        "import time; from dashboards.private_folders import make_folder; "
        "folder = make_folder(); (folder / 'a').write_text('pixels'); "
        "print(flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        assert [path.name for path in (tmp_path / "tmp").glob("*/*/*")] == ["a"]
        assert modes(next((tmp_path / "tmp").glob("tiledseg-uploads-*[!k]"))) >= {0o700}
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    own = private_folders.home()
    assert [path for path in (tmp_path / "tmp").iterdir() if path.is_dir()] == [own]
