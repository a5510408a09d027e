import os
from pathlib import Path

import pytest

from tiledseg.data.pairing import pair
from tiledseg.errors import DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("images", "masks"):
        (tmp_path / "train" / kind).mkdir(parents=True)
    return tmp_path / "train"


def fill(folder: Path, images: str, masks: str) -> None:
    for kind, names in (("images", images), ("masks", masks)):
        for name in names.split():
            (folder / kind / name).touch()


class TestPaired:
    def test_by_stem_whatever_the_suffix_and_the_order(self, folder: Path) -> None:
        fill(folder, "b.jpg a.tif a10.png a2.png", "a2.png a10.bmp a.PNG b.jpeg .hidden.png")
        pairs = [(one.stem, one.image.name, one.mask.name) for one in pair(folder)]
        assert pairs == [
            ("a", "a.tif", "a.PNG"),
            ("a10", "a10.png", "a10.bmp"),
            ("a2", "a2.png", "a2.png"),
            ("b", "b.jpg", "b.jpeg"),
        ]

    def test_what_says_only_the_format_is_no_part_of_a_stem(self, folder: Path) -> None:
        fill(folder, "a.ome.tif b.b.tif", "a.png b.b.ome.tiff")
        assert [one.stem for one in pair(folder)] == ["a", "b.b"]

    def test_images_without_mask(self, folder: Path) -> None:
        fill(folder, "a.png b.png c.png d.png e.png", "b.png")
        told = r"images: 4 of 5 images without mask: a\.png, c\.png, d\.png, \.\.\.; add .*masks/a"
        with pytest.raises(DatasetError, match=told):
            pair(folder)

    def test_names_that_are_not_utf8(self, folder: Path) -> None:
        name = os.fsdecode(b"gr\xf6\xdfe.png")
        fill(folder, f"a.png {name}", f"a.png {name}")
        with pytest.raises(DatasetError, match=r"\ufffde\.png: 2 file names are not UTF-8.*convmv"):
            pair(folder)

    def test_names_that_differ_by_a_hair(self, folder: Path) -> None:
        fill(folder, "a.png Cell.png", "a.png cell.png")
        told = r"Cell\.png: this image has no mask, but masks/cell\.png differs only in upper"
        with pytest.raises(DatasetError, match=told):
            pair(folder)

    def test_masks_without_image(self, folder: Path) -> None:
        fill(folder, "a.png", "a.png b.png")
        with pytest.raises(DatasetError, match=r"masks: 1 of 2 masks without image: b\.png; add"):
            pair(folder)

    @pytest.mark.parametrize("kind", ["images", "masks"])
    def test_a_stem_twice(self, folder: Path, kind: str) -> None:
        fill(folder, "a.png", "a.png")
        (folder / kind / "a.jpg").touch()
        told = rf"{kind}/a\.jpg and a\.png have the same stem; rename or remove one"
        with pytest.raises(DatasetError, match=told):
            pair(folder)

    def test_empty(self, folder: Path) -> None:
        with pytest.raises(DatasetError, match=r"train/images holds no images; add some \(\.bmp"):
            pair(folder)

    @pytest.mark.parametrize("kind", ["images", "masks"])
    def test_folder_missing(self, folder: Path, kind: str) -> None:
        (folder / kind).rmdir()
        with pytest.raises(DatasetError, match=f"train/{kind} does not exist; add it"):
            pair(folder)
