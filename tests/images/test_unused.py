"""What is not used is counted and named, each with its own reason."""

import os
from pathlib import Path

import pytest

from tiledseg.images.reading import list_images
from tiledseg.images.unused import describe_unused, explain_unused, list_unused


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("a.czi", "microscope's", "bfconvert"),
        ("a.MRXS", "microscope's", "bfconvert"),
        ("a.heic", "camera's", "PNG"),
        ("a.npy", "array", "plane"),
        ("a.zip", "archive", "unpack"),
        ("a.png.dvc", "DVC", "dvc pull"),
        ("a.png.part", "unfinished", "finish"),
        ("notes.txt", "no image (.txt)", "nothing"),
        ("README", "no image (no suffix)", "nothing"),
        (".DS_Store", "hidden", "nothing"),
    ],
)
def test_reasons_of_files(tmp_path: Path, name: str, reason: str, remedy: str) -> None:
    (tmp_path / name).touch()
    found = explain_unused(tmp_path / name)
    assert reason in found.reason
    assert remedy in found.remedy


def test_reasons_of_links_folders_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "annex.png").symlink_to("../.git/annex/objects/xx/yy/SHA256E-s1--abc.png")
    (tmp_path / "link.png").symlink_to("nowhere.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    found = {each.path.name: each for each in list_unused(tmp_path, list_images(tmp_path))}
    assert "git annex get" in found["annex.png"].remedy
    assert found["link.png"].reason == "a broken link"
    assert found["folder.png"].reason == "a folder"
    assert found["pipe.png"].reason == "no regular file"
    names = [each.path.name for each in list_unused(tmp_path, [], folders_are_used=True)]
    assert names == ["annex.png", "link.png", "pipe.png"]


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may enter everything
    found = explain_unused(tmp_path / "closed")
    assert found.reason == "a folder without permission"
    assert found.is_suspicious


def test_a_line_counts_all_and_names_some_of_each_reason(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.czi").touch()
    (tmp_path / "notes.txt").touch()
    line = describe_unused(list_unused(tmp_path, []), 9)
    assert line.startswith(
        "6 of 9 not used; 5 a microscope's or scanner's .czi file (0.czi, 1.czi,"
    )
    assert "2.czi, ...)" in line
    assert "1 no image (.txt) (notes.txt)" in line
    assert "\n" not in line
