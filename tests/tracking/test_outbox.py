"""What there is to send outlives the process, whole and in order."""

import os

import pytest
from watched_disk import watch_disk

from tiledseg.errors import OutputError, TrackingError
from tiledseg.tracking.outbox import Outbox


def take_all(outbox):
    found = []
    while (entry := outbox.take()) is not None:
        files = {path.name: path.read_text() for path in entry.files.glob("*")}
        found.append((entry.kind, entry.content, files))
        outbox.done(entry)
    return found


def test_entries_come_out_as_they_went_in_also_in_another_process(tmp_path):
    outbox = Outbox(tmp_path / "outbox")
    outbox.add("batch", {"metrics": [["loss", 0.5, 1, 1]]})
    with outbox.put("files", {"folder": "a"}) as files:
        (files / "x.txt").write_text("one")
    first = outbox.take()
    outbox.add("end", {"status": "FINISHED"})
    again = Outbox(tmp_path / "outbox")  # the first one never said that it was sent
    assert len(again) == 3
    assert again.take() == first
    assert take_all(again) == [
        ("batch", {"metrics": [["loss", 0.5, 1, 1]]}, {}),
        ("files", {"folder": "a"}, {"x.txt": "one"}),
        ("end", {"status": "FINISHED"}, {}),
    ]
    again.add("batch", {"late": True})
    assert [entry[1] for entry in take_all(Outbox(tmp_path / "outbox"))] == [{"late": True}]


def test_an_entry_that_failed_on_its_way_is_none(tmp_path):
    folder = tmp_path / "outbox"
    outbox = Outbox(folder)
    with pytest.raises(ZeroDivisionError), outbox.put("files", {}) as files:
        (files / "half.txt").write_text("h")
        raise ZeroDivisionError
    assert len(outbox) == 0
    assert not list(folder.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"kind": "end"}', "[" * 100_000, "pipe"])
def test_a_damaged_entry_is_told_in_one_line(tmp_path, text):
    outbox = Outbox(tmp_path / "outbox")
    outbox.add("end", {"status": "FINISHED"})
    path = tmp_path / "outbox" / "000000001" / "entry.json"
    if text == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        path.write_text(text)
    for read in (outbox.take, outbox.entries):
        with pytest.raises(TrackingError, match=r"entry.json: cannot be read \(.*; put a") as told:
            read()
        assert "\n" not in str(told.value)
    assert len(outbox) == 1


def test_remains_of_a_killed_process_are_removed(tmp_path):
    folder = tmp_path / "outbox"
    outbox = Outbox(folder)
    killed = outbox.put("files", {})
    (killed.__enter__() / "half.txt").write_text("h")
    assert [path.name[0] for path in folder.iterdir()] == ["."]
    assert len(Outbox(folder)) == 0
    assert not list(folder.iterdir())
    del killed


def test_a_later_state_takes_earlier_ones_back_but_not_one_that_is_being_sent(tmp_path):
    outbox = Outbox(tmp_path)
    for epoch in (1, 2):
        outbox.add("batch", {"epoch": epoch})
        with outbox.put("state", {"epoch": epoch}, replaces="state"):
            pass
    assert [entry[:2] for entry in take_all(outbox)] == [
        ("batch", {"epoch": 1}),
        ("batch", {"epoch": 2}),
        ("state", {"epoch": 2}),
    ]
    for epoch in (3, 4, 5):
        with outbox.put("state", {"epoch": epoch}, replaces="state"):
            pass
        if epoch == 3:
            sending = outbox.take()
    outbox.done(sending)
    assert [content for _, content, _ in take_all(outbox)] == [{"epoch": 5}]


def test_a_full_disk_is_told_with_a_remedy(tmp_path):
    outbox = Outbox(tmp_path)
    with pytest.raises(OutputError, match=r"No space left.*TILEDSEG_STATE"), outbox.put("x", {}):
        raise OSError(28, "No space left on device")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="TILEDSEG_STATE"):
        Outbox(tmp_path / "file" / "outbox")


def test_an_entry_is_on_the_disk_before_it_has_its_number(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path)
    disk = watch_disk(monkeypatch)
    with outbox.put("files", {"folder": "a"}) as files:
        (files / "x.txt").write_text("one")
    assert disk.named == [(tmp_path / "000000001", True)]
    assert tmp_path.stat().st_ino in disk.flushed


def test_a_kill_leaves_an_earlier_state_until_the_later_one_is_here(tmp_path, monkeypatch):
    """And half of one that is taken back is none."""
    outbox = Outbox(tmp_path)
    with outbox.put("state", {"epoch": 1}, replaces="state") as files:
        (files / "network").write_text("1")

    def killed(*_, **__):
        raise KeyboardInterrupt

    for moment in ("give_names", "shutil.rmtree"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"tiledseg.tracking.outbox.{moment}", killed)
            with outbox.put("state", {"epoch": 2}, replaces="state") as files:
                (files / "network").write_text("2")
        again = Outbox(tmp_path)
        kept = 1 if moment == "give_names" else 2
        assert [entry.content["epoch"] for entry in again.entries()] == [kept]
        assert (again.take().files / "network").read_text() == str(kept)
