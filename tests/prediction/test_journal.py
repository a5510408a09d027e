"""The folder of an unfinished prediction is gone on with where it is sound, else told of."""

import os

import pytest

from tiledseg.errors import OutputError
from tiledseg.prediction.journal import JournaledWorkplace

pytestmark = pytest.mark.timeout(60)
KEY, SHAPE = {"model": "a"}, (64, 64)


def begin(folder, key=KEY):
    place = JournaledWorkplace(folder, "a", key, SHAPE)
    place.finish([0, 1])
    place.leave()
    return place.folder


def go_on(folder):
    place = JournaledWorkplace(folder, "a", KEY, SHAPE)
    found = place.finished_tiles()
    place.leave()
    return found


def test_tiles_are_remembered(tmp_path):
    begin(tmp_path)
    assert go_on(tmp_path) == {0, 1}


@pytest.mark.parametrize(
    ("text", "found"), [("0\n1", {0}), ("0\nx\n1\n", {0}), ("9" * 40, set()), ("\0\0", set())]
)
def test_a_journal_counts_up_to_its_damage(tmp_path, text, found):
    (begin(tmp_path) / "tiles").write_text(text)
    assert go_on(tmp_path) == found


@pytest.mark.parametrize("name", ["tiles", "key.json"])
@pytest.mark.parametrize(("make", "what"), [(os.mkfifo, "pipe"), (os.mkdir, "directory")])
def test_what_is_no_file_is_refused_at_once(tmp_path, name, make, what):
    path = begin(tmp_path) / name
    path.unlink()
    make(path)
    with pytest.raises(OutputError, match=rf"(?i)cannot be written \(.*{what}"):
        go_on(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "pipe"])
def test_damaged_work_of_another_model_is_mentioned(tmp_path, text, caplog):
    path = begin(tmp_path, {"model": "b"}) / "key.json"
    path.unlink()
    if text == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(text)
    JournaledWorkplace(tmp_path, "a", KEY, SHAPE).leave()
    assert "holds unfinished work with another journal" in caplog.text
