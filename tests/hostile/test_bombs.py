"""Small files that claim, or unpack to, far more than they hold: refused before they are decoded.

Ten and more of each format, at every door, each door in a process of its own whose memory is
measured. ``make soak`` brings every fourth, ``make soak-long`` all.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import image_bombs
import model_bombs
import pytest
import stored_bombs
from doors import OPENED, REFUSED

from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

MOST_MEGABYTES = 300
DOORS = Path(__file__).with_name("doors.py")
FILES = {**image_bombs.BOMBS, "tif": stored_bombs.TIFFS, "zarr": stored_bombs.STORES}
HARMLESS = {**image_bombs.HARMLESS, "tif": stored_bombs.HARMLESS_TIFFS}
NEEDS_MORE = ("labels", "predict")
"""Doors that may refuse a sound picture: it holds colors, or nothing where to look."""
HEADERS_ALONE = ("size", "explained")
IMAGE_DOORS = ("check", "train", "labels", "predict", "upload", "view")


def file_name(kind: str, number: int, prefix: str) -> str:
    return f"{prefix}{number:02}-{kind}.{kind}"


def write_files(folder: Path, every: int) -> None:
    """Run in a process of its own: some makers hold what they pack."""
    for kind, table in FILES.items():
        for number, make in list(enumerate(table.values()))[::every]:
            path = folder / file_name(kind, number, "bomb")
            if kind == "zarr":
                make(path)
            else:
                path.write_bytes(make())
    for kind, table in HARMLESS.items():
        for number, make in list(enumerate(table.values()))[::every]:
            (folder / file_name(kind, number, "harmless")).write_bytes(make())


def name_of(line: dict) -> str:
    """What a line is about, in words."""
    stem = Path(line["name"]).name.partition(".")[0]
    prefix, _, kind = stem.partition("-")
    table = FILES if prefix.startswith("bomb") else HARMLESS
    return list(table[kind])[int(prefix[-2:])]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(4, marks=pytest.mark.soak, id="some"),
        pytest.param(1, marks=pytest.mark.soak_long, id="all"),
    ],
)
def every(request):
    """Which bombs are brought: 1 for all, 4 for every fourth."""
    return request.param


@pytest.fixture(scope="module")
def sound(tmp_path_factory, tiny_experiment):
    """The folder of a sound network."""
    experiment = tiny_experiment()
    folder = tmp_path_factory.mktemp("network")
    Predictor(build_model(experiment.model, 3), experiment).save(folder)
    return folder


@pytest.fixture(scope="module")
def bombs(tmp_path_factory, every):
    """A folder of files."""
    folder = tmp_path_factory.mktemp("bombs")
    here = str(Path(__file__).parent)
    code = "import sys, pathlib; sys.path[:0] = sys.argv[3:]; import test_bombs; "
    code += "test_bombs.write_files(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
    places = [here, str(Path(here).parent)]
    subprocess.run([sys.executable, "-c", code, str(folder), str(every), *places], check=True)
    return folder


def wanted(door: str, place: str, harmless: bool) -> set[str]:
    """How a file may end; a header alone may be read of one whose pixels are the bomb."""
    if place in HEADERS_ALONE or (harmless and door in NEEDS_MORE):
        return {OPENED, REFUSED}
    return {OPENED} if harmless else {REFUSED}


def bring(door: str, folder: Path, place: Path) -> list[dict]:
    """What happens to each file of a folder at a door."""
    (place / "files").mkdir()
    for path in folder.iterdir():
        (place / "files" / path.name).symlink_to(path)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [sys.executable, str(DOORS), door, str(place / "files")]
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, env=environment, cwd=place
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_there_are_ten_of_each_format():
    assert all(len(table) >= 10 for table in FILES.values())
    assert len(model_bombs.NAMES) >= 10


@pytest.mark.parametrize("door", IMAGE_DOORS)
def test_images(bombs, every, sound, tmp_path, door):
    folder = tmp_path / "all"
    folder.mkdir()
    for path in bombs.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "sound").symlink_to(sound)
    lines = bring(door, folder, tmp_path)
    brought = [table for kind, table in FILES.items() if (kind, door) != ("zarr", "upload")]
    assert len(lines) >= sum(len(table) // every for table in brought)
    for line in lines:
        told = f"{door}: {name_of(line)} ({line['name']}): {line}"
        harmless = Path(line["name"]).name.startswith("harmless")
        assert line["outcome"] in wanted(door, line["name"].partition("/")[0], harmless), told
        assert line["megabytes"] < MOST_MEGABYTES, told
        assert "\n" not in line["message"], told
        assert line["outcome"] == OPENED or "; " in line["message"], told


def test_networks(every, sound, tmp_path):
    folder = tmp_path / "networks"
    folder.mkdir()
    names = list(enumerate(model_bombs.NAMES))[::every]
    for number, name in names:
        model_bombs.write_bomb(sound, folder / f"{number:02}", name)
    (folder / "sound").symlink_to(sound)
    lines = bring("load", folder, tmp_path)
    assert len(lines) == 2 * len(names)
    for line in lines:
        told = f"{model_bombs.NAMES[int(Path(line['name']).name)]}: {line}"
        assert line["outcome"] == REFUSED, told
        assert line["megabytes"] < MOST_MEGABYTES, told
        assert "\n" not in line["message"], told


@pytest.mark.soak
def test_arrays(sound, tmp_path):
    folder = tmp_path / "arrays"
    folder.mkdir()
    (folder / "sound").symlink_to(sound)
    lines = bring("serve", folder, tmp_path)
    assert len(lines) == 20
    for line in lines:
        assert line["outcome"] == REFUSED, line
        assert line["megabytes"] < MOST_MEGABYTES, line
