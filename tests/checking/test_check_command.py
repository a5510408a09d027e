"""tiledseg check, through the front door."""

import json
import re

import pytest
from faults_to_plant import empty_mask, image_without_mask, read, same_file_in_two_splits
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.errors import DatasetError, ExperimentError, OutputError


@pytest.fixture
def run(monkeypatch, tiny_experiment, tmp_path):
    """Run the command; returns its exit code and what it showed."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    monkeypatch.setattr("tiledseg.checking.target.network_halo", lambda experiment: 30)

    def check(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["check", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return check


def test_a_sound_dataset(run, sound):
    code, shown = run("Tiny", "--set", "image.size=96")
    assert code == 0
    assert "Nothing stands against training." in shown
    assert re.search(r"train +6 ", shown)


def test_an_unsound_dataset(run, sound, tmp_path):
    image_without_mask(sound)
    same_file_in_two_splits(sound)
    empty_mask(sound)
    page, findings = tmp_path / "report.html", tmp_path / "report.json"
    code, shown = run("Tiny", "--html", str(page), "--json", str(findings))
    assert code == 1
    for words in (
        "error    image-without-mask  1",
        "train/images/disc1.png: has no mask",
        "-> add masks/disc1.png, or remove the file",
        "test/images/disc9.png: is the same file as disc0.png of train",
        "Training on this would be unsound (2 errors, ",
    ):
        assert words in shown
    assert page.stat().st_size > 10_000
    assert json.loads(findings.read_text())["sound"] is False


@pytest.mark.parametrize("name", ["Tiny", "My data (1)"])
def test_a_folder(run, sound, tmp_path, name):
    folder = sound.rename(tmp_path / name)
    code, shown = run(str(folder))
    assert code == 0
    assert str(folder) in shown


def test_a_folder_of_the_data_root_without_experiment(run, tiny_dataset):
    tiny_dataset(name="Other")
    code, shown = run("Other")
    assert code == 0
    assert "Other" in shown


def test_a_synthetic_dataset_is_drawn_first(run, tmp_path):
    code, shown = run(
        "Tiny", "--set", "dataset.synthetic={seed: 1, size: 64, train: 2, valid: 1, test: 1}"
    )
    assert code == 0
    assert "split-small" in shown
    assert (tmp_path / "data" / "Tiny" / "train").is_dir()


def test_what_is_refused(run, sound, tmp_path):
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        run("Tiny", "--html", str(tmp_path / "mine.html"))
    assert run("Tiny", "--html", str(tmp_path / "mine.html"), "--overwrite")[0] == 0
    with pytest.raises(DatasetError, match="nearest folders: Tiny"):
        run("tini")
    with pytest.raises(ExperimentError, match=r"image\.sise"):
        run("Tiny", "--set", "image.sise=3")


def test_a_section_is_suggested(run, sound, tmp_path):
    for kind, name in (("images", "raw"), ("masks", "labels")):
        for split in ("train", "valid", "test"):
            (sound / split / kind).rename(sound / split / name)
    with pytest.raises(DatasetError, match="does not exist"):
        run("Nowhere", "--suggest")
    code, shown = run("Tiny", "--suggest")
    assert code == 0
    assert shown.splitlines()[1:] == [
        "dataset:",
        "  name: Tiny",
        "  images: raw",
        "  masks: labels",
    ]
    declared = ("--set", "dataset.images=raw", "--set", "dataset.masks=labels")
    assert run(str(sound), *declared)[0] == 0


def test_a_preview_is_written(run, sound, tmp_path):
    image_without_mask(sound)
    path = tmp_path / "preview.png"
    assert run("Tiny", "--preview", str(path))[0] == 1
    assert read(path).shape[:2] == (756, 1992)
    with pytest.raises(OutputError, match="exists; name another file"):
        run("Tiny", "--preview", str(path))
    with pytest.raises(OutputError, match=r"use the suffix \.png"):
        run("Tiny", "--preview", str(tmp_path / "preview.jpg"))
