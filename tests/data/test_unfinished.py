"""A dataset that is being written, or was broken off, is never taken for the whole."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from watched_disk import watch_disk

from tiledseg.cli import app
from tiledseg.data.dataset import load_dataset
from tiledseg.data.prepare import layout
from tiledseg.data.prepare.prepare import prepare_dataset
from tiledseg.data.prepare.spec import PreparationSpec
from tiledseg.data.unfinished import is_unfinished, require_finished
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.place_lock import hold

SPEC = PreparationSpec(tile=48)
COMMAND = ["prepare", "--experiment", "experiments/Tiny.yaml", "--into", "Cut", "--tile", "48"]


class BrokenOffError(Exception):
    """Stands for a kill."""


@pytest.fixture
def root(tiny_dataset, tiny_experiment):
    """The data root, with a dataset; and experiments on it and on what is cut from it."""
    folder = tiny_dataset(images=(4, 2, 2))
    Path("experiments").mkdir()
    for name in ("Tiny", "Cut"):
        text = tiny_experiment(dataset={"name": name}).to_yaml()
        Path("experiments", f"{name}.yaml").write_text(text)
    return folder.parent


@pytest.fixture
def cut(root, tiny_experiment):
    """Cuts the dataset, and stops where it is told to."""

    def prepare(after: int | None = None, command: str = ""):
        def stop(done: int, _: int) -> None:
            if done == after:
                raise BrokenOffError

        return prepare_dataset(tiny_experiment(), root, "Cut", SPEC, stop, command).folder

    return prepare


@pytest.fixture
def unfinished(root, cut):
    """The dataset after some of its images."""
    with pytest.raises(BrokenOffError):
        cut(after=3, command="tiledseg prepare --into Cut --tile 48")
    return root / "Cut"


@pytest.mark.parametrize(
    "words",
    [
        ["check", "Cut"],
        ["check", "data/Cut"],
        ["check", "Cut", "--suggest"],
        ["prepare", "--dataset", "Cut"],
        ["prepare", "--dataset", "Cut", "--into", "Again", "--tile", "32"],
        ["train", "--dataset", "Cut"],
    ],
    ids=" ".join,
)
def test_every_reader_refuses_it_with_the_command_that_goes_on(unfinished, own_tables, words):
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, DatasetError), done.output
    assert "Cut is unfinished" in str(done.exception)
    assert "`tiledseg prepare --into Cut --tile 48` goes on with it" in str(done.exception)
    assert not (unfinished.parent / "Again").exists()


def test_the_list_of_datasets_says_so(unfinished, cut):
    def shown() -> str:
        lines = CliRunner().invoke(app, ["datasets"]).output.splitlines()
        return next(line for line in lines if line.startswith("Cut "))

    assert "unfinished" in shown()
    cut()
    assert "on disk" in shown()


def test_the_command_is_what_was_typed(root, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tiledseg", *COMMAND, "--set", "dataset.description=a b"])
    monkeypatch.setattr(layout, "write_statistics", lambda *_, **__: 1 / 0)
    assert isinstance(CliRunner().invoke(app, COMMAND).exception, ZeroDivisionError)
    with pytest.raises(DatasetError) as refused:
        require_finished(root / "Cut")
    expected = "`tiledseg " + " ".join(COMMAND) + " --set 'dataset.description=a b'` goes on"
    assert expected in str(refused.value)


class TestDamage:
    """What is damaged of the work is done again; what is no file ends it with one line."""

    @pytest.mark.parametrize("place", ["foreground", "image_digest", "rows", "job"])
    def test_of_a_line_of_the_journal(self, unfinished, cut, place):
        journal = unfinished / ".unfinished" / "done.jsonl"
        journal.write_text(journal.read_text().replace(f'"{place}"', '"other"'))
        cut()
        assert not is_unfinished(unfinished)

    @pytest.mark.timeout(60)
    @pytest.mark.parametrize("name", ["done.jsonl", "command.txt"])
    def test_pipes_under_its_names(self, unfinished, cut, name):
        path = unfinished / ".unfinished" / name
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DatasetError, match="is unfinished"):
            require_finished(unfinished)
        if name == "done.jsonl":
            with pytest.raises(OutputError, match=r"done.jsonl: cannot be read \(it is a pipe"):
                cut()

    @pytest.mark.timeout(60)
    def test_a_pipe_for_its_spec(self, unfinished):
        (unfinished / "spec.json").unlink()
        os.mkfifo(unfinished / "spec.json")
        assert is_unfinished(unfinished)


def test_gone_on_with_it_is_the_whole(unfinished, cut, root, tiny_experiment):
    cut()
    assert not is_unfinished(unfinished)
    assert sorted(path.name for path in unfinished.iterdir()) == [
        "manifest.csv", "spec.json", "statistics.csv", "statistics.png", "test", "train", "valid"
    ]  # fmt: skip
    made = load_dataset(tiny_experiment(dataset={"name": "Cut"}).dataset, root)
    assert {split: len(samples) for split, samples in made.splits.items()} == {
        "train": 16, "valid": 8, "test": 8
    }  # fmt: skip
    assert CliRunner().invoke(app, ["check", "Cut"]).exit_code == 0


class TestWhenItIs:
    def test_from_before_the_first_image_to_after_the_last(self, root, cut, monkeypatch):
        """Whatever file is the last that was named, the folder is unfinished or the whole."""
        seen = []
        replace = Path.replace

        def looking(draft, path):
            answer = replace(draft, path)
            folder = root / "Cut"
            if Path(path).is_relative_to(folder):
                images = any(folder.rglob("images/*.png"))
                seen.append((Path(path).name, is_unfinished(folder), images))
            return answer

        monkeypatch.setattr(Path, "replace", looking)
        cut()
        names = [name for name, *_ in seen]
        assert names[0] == "command.txt" and names[-1] == "manifest.csv"
        assert all(unfinished for _, unfinished, _ in seen[:-1])
        assert not seen[-1][1]
        assert not seen[0][2] and seen[-1][2]

    def test_copied_without_its_hidden_folder(self, unfinished):
        shutil.rmtree(unfinished / ".unfinished")
        with pytest.raises(DatasetError, match="the command that began it goes on"):
            require_finished(unfinished)

    @pytest.mark.parametrize("spec", ['{"openapi": "3.1"}', "[1]", "no JSON", "[" * 100_000])
    def test_a_spec_of_another_program_says_nothing(self, root, spec):
        (root / "Tiny" / "spec.json").write_text(spec)
        require_finished(root / "Tiny")

    def test_what_is_left_of_the_work_beside_a_manifest_says_nothing(self, cut):
        folder = cut()
        (folder / ".unfinished").mkdir()
        require_finished(folder)
        cut()
        assert not (folder / ".unfinished").exists()


class TestBeginning:
    def test_killed_before_it_had_a_spec_it_begins(self, root, cut):
        work = root / "Cut" / ".unfinished"
        work.mkdir(parents=True)
        (work / ".1-2.tmp").write_text("half a spec")
        assert is_unfinished(cut().parent / "Cut") is False

    def test_with_another_spec_what_is_unfinished_may_be_removed(
        self, unfinished, root, tiny_experiment
    ):
        with pytest.raises(OutputError, match="or remove what is unfinished"):
            prepare_dataset(tiny_experiment(), root, "Cut", PreparationSpec(tile=32))
        assert is_unfinished(unfinished)

    def test_a_folder_with_files_of_the_user_stays_as_it_is(self, root, cut):
        (root / "Cut").mkdir()
        (root / "Cut" / "notes.txt").write_text("mine")
        with pytest.raises(OutputError, match="holds files already"):
            cut()
        assert [path.name for path in (root / "Cut").iterdir()] == ["notes.txt"]
        require_finished(root / "Cut")

    def test_files_that_the_user_puts_beside_stay(self, unfinished, cut):
        (unfinished / "notes.txt").write_text("mine")
        assert (cut() / "notes.txt").read_text() == "mine"


def test_its_files_are_on_the_disk_before_they_have_their_names(root, cut, monkeypatch):
    disk = watch_disk(monkeypatch)
    folder = cut()
    assert len(disk.named) == 2 * 32 + 4
    assert disk.unflushed(folder) == []


def test_one_process_at_a_dataset(root, cut):
    with hold(root / "Cut"), pytest.raises(OutputError, match=r"Cut: .* is writing it; wait for"):
        cut()
    assert not (root / "Cut").exists()
    assert [path.name for path in root.iterdir()] == ["Tiny"]
    assert json.loads((cut() / "spec.json").read_text())["tile"] == 48
