"""Each published form, on small files that are written here as the authors write them."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from tiledseg.checking.split_rules import refuse_leaks
from tiledseg.cli import app
from tiledseg.config import DatasetSettings, SplitSettings
from tiledseg.data.dataset import load_dataset
from tiledseg.data.published import catalog
from tiledseg.data.published.catalog import CATALOG, find_named_dataset, publication_folder
from tiledseg.data.published.convert import convert_published, fetch_published
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.reading import read_image, read_mask

HEIGHT, WIDTH = 60, 80


@pytest.fixture(autouse=True)
def _no_statistics(monkeypatch):
    """They are tested with what writes them."""
    monkeypatch.setattr("tiledseg.data.prepare.layout.write_statistics", lambda *_, **__: None)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tiff":
        tifffile.imwrite(path, pixels)
    else:
        assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def neurips(folder: Path) -> dict[str, np.ndarray]:
    """Instances 1 and 300 in 16 bits; a phase-contrast image as BMP that is none of ours."""
    targets = {}
    for number in range(1, 6):
        stem = f"cell_{number:05d}"
        one, two = box(5, 5, 10 + number, 10), box(30, 40, 12, 20)
        save(folder / "Training-labeled" / "images" / f"{stem}.png", picture(number))
        labels = one * np.uint16(1) + two * np.uint16(300)
        save(folder / "Training-labeled" / "labels" / f"{stem}_label.tiff", labels)
        targets[stem] = one | two
    save(folder / "Training-labeled" / "images" / "cell_00090.bmp", picture(90))
    labels = box(0, 0, 9, 9).astype(np.uint16)
    save(folder / "Training-labeled" / "labels" / "cell_00090_label.tiff", labels)
    return targets


def segpc(folder: Path, *, color: bool = False) -> dict[str, np.ndarray]:
    """Fields and one BMP per cell, 40 in the nucleus and 20 around it; test has no y."""
    home, targets = folder / "TCIA_SegPC_dataset", {}
    fields = [("train", number) for number in range(106, 110)] + [("validation", 1735)]
    for split, number in fields:
        save(home / split / "x" / f"{number}.bmp", picture(number))
        targets[str(number)] = np.zeros((HEIGHT, WIDTH), bool)
        for cell, place in enumerate([(5, 5, 20, 24), (30, 44, 22, 20)], start=1):
            label = box(*place) * np.uint8(20)
            label[place[0] + 6 : place[0] + 12, place[1] + 6 : place[1] + 14] = 40
            stored = np.dstack([label] * 3) if color else label
            save(home / split / "y" / f"{number}_{cell}.bmp", stored)
            targets[str(number)] |= label > 0
    save(home / "test" / "x" / "405.bmp", picture(405))
    return targets


def sipakmed(folder: Path) -> dict[str, np.ndarray]:
    """Outlines of cytoplasm and nucleus; crops and another class that are none of ours."""
    targets = {}
    home = folder / "im_Metaplastic"
    for number in range(244, 248):
        save(home / f"{number}.bmp", picture(number))
        rectangle = (10, 10, 24, 30)
        for name, (top, left, height, width) in {
            "cyt01": rectangle, "nuc01": (15, 20, 8, 8), "cyt02": (40, 50, 15, 20)
        }.items():  # fmt: skip
            bottom, right = top + height - 1, left + width - 1
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            text = "".join(f"{x:.4f},{y:.4f}\n" for x, y in corners)
            (home / f"{number}_{name}.dat").write_text(text)
        targets[f"Metaplastic_{number}"] = box(*rectangle) | box(40, 50, 15, 20)
        save(home / "CROPPED" / f"{number}_01.bmp", picture(1))
        (home / "CROPPED" / f"{number}_01_cyt.dat").write_text("1,1\n5,1\n5,5\n")
    save(folder / "im_Parabasal" / "001.bmp", picture(2))
    (folder / "im_Parabasal" / "001_cyt01.dat").write_text("1,1\n5,1\n5,5\n")
    return targets


def breastdm(folder: Path) -> dict[str, np.ndarray]:
    """Slices and labels (0 and 255) under one path; a benign patient, and unlabeled slices."""
    targets = {}
    patients = {"train": ["Ma-1801", "Ma-1802", "Be-1900"], "val": ["Ma-1803"], "test": ["Ma-1804"]}
    for split, names in patients.items():
        for name in names:
            for piece in ("p-031", "p-032"):
                path = f"BreaDM-{name}/VIBRANT/{piece}"
                gray = picture(len(targets))[..., 0]
                save(folder / "seg" / split / "images" / f"{path}.jpg", gray)
                mask = box(20, 20, 9, 13)
                save(folder / "seg" / split / "labels" / f"{path}.png", mask * np.uint8(255))
                if "Ma" in name:
                    targets[path.replace("/", "_")] = mask
            save(folder / "seg" / split / "images" / f"BreaDM-{name}/SUB1/p-031.jpg", picture(9))
    return targets


FORMS = {
    "Tiled-Cell": neurips,
    "Tiled-MultipleMyeloma": segpc,
    "Tiled-Cervical-Cancer": sipakmed,
    "Malignant-BreastDM": breastdm,
}


def convert(name: str, given: Path, root: Path) -> pd.DataFrame:
    return convert_published(find_named_dataset(name), given, root)


def dataset_of(name: str, root: Path):
    return load_dataset(DatasetSettings(name=name), root)


@pytest.mark.parametrize("name", FORMS)
class TestEveryForm:
    def test_masks_and_images_are_those_of_the_authors(self, name, tmp_path):
        targets = FORMS[name](tmp_path / "given")
        convert(name, tmp_path / "given", tmp_path)
        dataset = dataset_of(name, tmp_path)
        refuse_leaks(dataset.splits, SplitSettings(), dataset.folder)
        assert not dataset.drawn
        samples = {sample.stem: sample for part in dataset.splits.values() for sample in part}
        assert samples.keys() == targets.keys()
        for stem, target in targets.items():
            np.testing.assert_array_equal(read_mask(samples[stem].mask), target)
            assert read_image(samples[stem].image).shape == (HEIGHT, WIDTH, 3)
        if name != "Malignant-BreastDM":
            number = int(stem.rpartition("_")[2])
            np.testing.assert_array_equal(read_image(samples[stem].image), picture(number))

    def test_from_an_archive_and_twice(self, name, tmp_path):
        FORMS[name](tmp_path / "given")
        archive = tmp_path / "archive.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for path in (tmp_path / "given").rglob("*"):
                packed.write(path, path.relative_to(tmp_path / "given"))
        first = convert(name, archive, tmp_path)
        again = convert(name, archive, tmp_path)
        assert len(first) > 3
        pd.testing.assert_frame_equal(first, again)

    def test_a_folder_of_another_form(self, name, tmp_path):
        (tmp_path / "given" / "photos").mkdir(parents=True)
        (tmp_path / "given" / "readme.txt").write_text("?")
        with pytest.raises(DatasetError, match=r"found photos/, readme.txt; expected \S+"):
            convert(name, tmp_path / "given", tmp_path)
        assert not (tmp_path / name).exists()

    def test_no_folder(self, name, tmp_path):
        with pytest.raises(DatasetError, match="does not exist; give the folder or ZIP archive"):
            convert(name, tmp_path / "nowhere", tmp_path)

    def test_a_partner_that_is_missing(self, name, tmp_path):
        FORMS[name](tmp_path / "given")
        pattern = {
            "Tiled-Cell": "labels/cell_00002*",
            "Tiled-MultipleMyeloma": "y/107_*",
            "Tiled-Cervical-Cancer": "im_Metaplastic/245_*",
            "Malignant-BreastDM": "images/BreaDM-Ma-1802/VIBRANT/p-031.jpg",
        }[name]
        for path in list((tmp_path / "given").rglob(pattern)):
            path.unlink()
        with pytest.raises(DatasetError, match=r"1 \w+ without .*; expected .*unpack the archive"):
            convert(name, tmp_path / "given", tmp_path)


class TestSplits:
    def test_what_the_authors_drew_stays(self, tmp_path):
        breastdm(tmp_path / "given")
        table = convert("Malignant-BreastDM", tmp_path / "given", tmp_path)
        assert set(table[table["split"] == "valid"]["source"]) == {"BreaDM-Ma-1803"}
        assert set(table[table["split"] == "test"]["source"]) == {"BreaDM-Ma-1804"}

    def test_a_patient_in_two_of_them_is_put_into_one(self, tmp_path):
        breastdm(tmp_path / "given")
        seg = tmp_path / "given" / "seg"
        for kind in ("images", "labels"):
            (seg / "test" / kind / "BreaDM-Ma-1801").mkdir()
            old = next((seg / "train" / kind / "BreaDM-Ma-1801" / "VIBRANT").glob("p-031.*"))
            (seg / "test" / kind / "BreaDM-Ma-1801" / "SUB2").mkdir()
            new = seg / "test" / kind / "BreaDM-Ma-1801" / "SUB2" / old.name
            new.write_bytes(old.read_bytes())
        table = convert("Malignant-BreastDM", tmp_path / "given", tmp_path)
        assert table.groupby("source")["split"].nunique().max() == 1

    def test_segpc_is_tested_on_the_authors_validation_fields(self, tmp_path):
        segpc(tmp_path / "given")
        table = convert("Tiled-MultipleMyeloma", tmp_path / "given", tmp_path)
        assert table["split"].value_counts().to_dict() == {"train": 3, "valid": 1, "test": 1}
        assert table[table["split"] == "test"]["stem"].tolist() == ["1735"]


class TestSegPC:
    def test_files_of_three_channels_are_read_alike(self, tmp_path):
        targets = segpc(tmp_path / "given", color=True)
        convert("Tiled-MultipleMyeloma", tmp_path / "given", tmp_path)
        for part in dataset_of("Tiled-MultipleMyeloma", tmp_path).splits.values():
            for sample in part:
                np.testing.assert_array_equal(read_mask(sample.mask), targets[sample.stem])

    def test_single_cells_lie_alone_on_plain_ground(self, tmp_path):
        segpc(tmp_path / "given")
        table = convert("MultipleMyeloma", tmp_path / "given", tmp_path)
        assert len(table) == 5 * 2
        assert table.groupby("source")["split"].nunique().max() == 1
        for part in dataset_of("MultipleMyeloma", tmp_path).splits.values():
            for sample in part:
                image, mask = read_image(sample.image), read_mask(sample.mask)
                assert (image.shape, mask.shape) == ((256, 256, 3), (256, 256))
                ground = (image == (208, 196, 210)).all(axis=-1)
                assert not ground[mask].any()
                assert ground.mean() > 0.6
                rows, columns = np.nonzero(~ground)
                inside = np.nonzero(mask)
                for seen, cell in zip((rows, columns), inside, strict=True):
                    assert cell.min() - seen.min() == min(10, cell.min())
                    assert seen.max() - cell.max() == min(10, 255 - cell.max())

    def test_other_values_are_refused(self, tmp_path):
        segpc(tmp_path / "given")
        path = next((tmp_path / "given").rglob("y/106_1.bmp"))
        save(path, box(3, 3, 5, 5) * np.uint8(255))
        with pytest.raises(DatasetError, match="holds the value 255; expected nucleus"):
            convert("Tiled-MultipleMyeloma", tmp_path / "given", tmp_path)

    def test_a_cell_of_another_size_is_refused(self, tmp_path):
        segpc(tmp_path / "given")
        path = next((tmp_path / "given").rglob("y/106_1.bmp"))
        save(path, np.full((9, 9), 20, np.uint8))
        with pytest.raises(DatasetError, match=r"is 9 x 9 pixels, but .*106.bmp is 80 x 60"):
            convert("Tiled-MultipleMyeloma", tmp_path / "given", tmp_path)


@pytest.mark.parametrize(
    "text", ["", "1,2\n3,4\n", "1;2\n", "1,2,3\n4,5,6\n7,8,9\n", "a,b\n", "1,nan\n2,3\n4,5"]
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_outlines_that_are_none(tmp_path, text):
    sipakmed(tmp_path / "given")
    (tmp_path / "given" / "im_Metaplastic" / "244_cyt01.dat").write_text(text)
    with pytest.raises(DatasetError, match=r"244_cyt01.dat: .*; expected"):
        convert("Tiled-Cervical-Cancer", tmp_path / "given", tmp_path)


def test_labels_in_colors_are_refused(tmp_path):
    neurips(tmp_path / "given")
    path = next((tmp_path / "given").rglob("cell_00003_label.tiff"))
    tifffile.imwrite(path, picture(1), photometric="rgb")
    with pytest.raises(DatasetError, match="holds 3 channels; expected labels of instances"):
        convert("Tiled-Cell", tmp_path / "given", tmp_path)


class TestCatalog:
    def test_every_entry_is_complete(self):
        for dataset in CATALOG:
            publication = dataset.publication
            assert all((dataset.shows, publication.citation, publication.license))
            assert publication.page.startswith("https://")
            if publication.archive is not None:
                assert publication.archive.url.startswith("https://")
                assert len(bytes.fromhex(publication.archive.sha256)) == 32

    @pytest.mark.parametrize("name", [d.name for d in CATALOG if not d.publication.archive])
    def test_what_is_had_by_hand_says_where_and_where_to(self, name, tmp_path):
        dataset = find_named_dataset(name)
        with pytest.raises(DatasetError) as caught:
            fetch_published(dataset, tmp_path)
        assert dataset.publication.page in str(caught.value)
        assert str(publication_folder(dataset, tmp_path)) in str(caught.value)

    def test_a_dataset_of_somebody_s_own_is_seen_before_anything_is_fetched(self, tmp_path):
        save(tmp_path / "Tiled-Cell" / "train" / "images" / "a.png", picture(1))
        with pytest.raises(OutputError, match="Tiled-Cell holds files already"):
            fetch_published(find_named_dataset("Tiled-Cell"), tmp_path)
        assert not (tmp_path / "published").exists()

    def test_an_unknown_name(self):
        with pytest.raises(DatasetError, match="nearest names: Tiled-Cell"):
            find_named_dataset("tiled-cel")


class TestTheCommand:
    def run(self, *words):
        return CliRunner().invoke(app, ["datasets", *words])

    @pytest.fixture
    def root(self, tmp_path):
        return tmp_path / "data"

    def test_put_into_the_folder_fetch_converts(self, root):
        segpc(publication_folder(find_named_dataset("Tiled-MultipleMyeloma"), root))
        done = self.run("fetch", "Tiled-MultipleMyeloma")
        assert done.exit_code == 0, done.output
        assert "CC BY-NC-SA 4.0" in done.output
        assert len(dataset_of("Tiled-MultipleMyeloma", root).splits["train"]) == 3

    def test_fetch_downloads_unpacks_and_converts(self, root, tmp_path, monkeypatch):
        """From a file instead of a server; tests of downloading have one."""
        neurips(tmp_path / "given")
        archive = find_named_dataset("Tiled-Cell").publication.archive

        def arrive(url, path, sha256, progress):
            assert (url, sha256) == (archive.url, archive.sha256)
            path.parent.mkdir(parents=True)
            with zipfile.ZipFile(path, "w") as packed:
                for file in (tmp_path / "given").rglob("*"):
                    packed.write(file, file.relative_to(tmp_path / "given"))
            progress(1, 1)

        monkeypatch.setattr("tiledseg.data.published.convert.download", arrive)
        done = self.run("fetch", "Tiled-Cell")
        assert done.exit_code == 0, done.output
        assert len(dataset_of("Tiled-Cell", root).splits["train"]) == 3

    def test_the_list_names_all_with_license_and_what_to_do(self, root):
        (root / "Tiled-Cell").mkdir(parents=True)
        lines = self.run().output.splitlines()
        shown = {line.split()[0]: line for line in lines if line and not line.startswith(" ")}
        assert {dataset.name for dataset in catalog.CATALOG} <= shown.keys()
        assert "on disk" in shown["Tiled-Cell"]
        assert "absent" in shown["Malignant-BreastDM"]
        text = "\n".join(lines)
        assert "tiledseg datasets fetch Malignant-BreastDM" in text
        assert "tiledseg datasets fetch Tiled-Cell\n" not in text
        assert text.count("license: ") == len(CATALOG)

    def test_convert_from_a_folder_elsewhere(self, root, tmp_path):
        sipakmed(tmp_path / "given")
        done = self.run("convert", "Tiled-Cervical-Cancer", "--from", str(tmp_path / "given"))
        assert done.exit_code == 0, done.output
        assert str(root / "Tiled-Cervical-Cancer") in done.output
