"""No file of a dataset goes unmentioned, by check and by whatever loads the dataset."""

from pathlib import Path

import pytest

from tiledseg.checking.check import check_folder
from tiledseg.config import DatasetSettings
from tiledseg.data.dataset import load_dataset

IN_FOLDERS = [
    "a.czi", "b.nd2", "c.lif", "d.svs", "e.heic", "f.psd", "g.dng", "h.npy", "i.mat", "j.dcm",
    "k.zip", "l.png.dvc", "m.png.part", "n.txt", "o.csv", "p.xml", "q.json", "r", "Thumbs.db",
    "s.ini",
]  # fmt: skip
HIDDEN = [".DS_Store", "._a.png"]
BESIDE = ["notes.md", "stray.png", "old.zip", "val/images/x.png", "backup/y.png"]
IN_SPLIT = ["list.txt", "extra/z.png", "loose.jpg"]


@pytest.fixture
def littered(tiny_dataset) -> Path:
    """A sound dataset with thirty odd files, folders and links, in four places."""
    folder: Path = tiny_dataset(images=(6, 3, 3))
    for place, names in (
        (folder / "train" / "images", [*IN_FOLDERS, *HIDDEN]),
        (folder, BESIDE),
        (folder / "train", IN_SPLIT),
    ):
        for name in names:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).touch()
    (folder / "valid" / "masks" / "gone.png").symlink_to("nowhere.png")
    (folder / "valid" / "masks" / "inner").mkdir()
    return folder


def test_check_names_every_one(littered: Path, tiny_experiment) -> None:
    report = check_folder(littered, tiny_experiment(image={"size": 96}))
    codes = {"file-not-read", "folder-not-read", "split-misnamed", "hidden-not-read"}
    places = {
        report.shorten_path(finding.place) for finding in report.findings if finding.code in codes
    }
    named = {f"train/images/{name}" for name in IN_FOLDERS}
    named |= {"train/images", "notes.md", "stray.png", "old.zip", "val", "backup"}
    named |= {"train/list.txt", "train/extra", "train/loose.jpg"}
    named |= {"valid/masks/gone.png", "valid/masks/inner"}
    assert places == named
    assert report.is_sound
    (hidden,) = [finding for finding in report.findings if finding.code == "hidden-not-read"]
    assert "2 hidden" in hidden.message


def test_loading_counts_every_one(littered: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_dataset(DatasetSettings(name=littered.name), littered.parent)
    told = [record.message for record in caplog.records]
    train, valid, beside = (
        next(line for line in told if words in line)
        for words in ("train/images and", "valid/images and", f"{littered}: ")
    )
    odd = len(IN_FOLDERS) + len(HIDDEN)
    assert f"{odd} of {odd + 12} not used" in train
    assert "2 of 8 not used; 1 a broken link (gone.png)" in valid
    assert "8 not used; " in beside
    assert "called valid (val): rename it to valid" in beside
    assert "2 an image outside of the folders of images and masks (stray.png, loose.jpg)" in beside
    assert len(told) == 3


def test_a_sound_dataset_is_not_talked_about(
    tiny_dataset, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny_dataset(images=(6, 3, 3))
    load_dataset(DatasetSettings(name=folder.name), folder.parent)
    assert not caplog.records
