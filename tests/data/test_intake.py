"""Each form in which people have images and masks: declared, loaded, and suggested by check."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from pydantic import ValidationError

from tiledseg.checking.check import check_folder
from tiledseg.checking.suggestion import suggest_section
from tiledseg.config import DatasetSettings
from tiledseg.config.experiment import Experiment
from tiledseg.config.strict_yaml import parse_yaml
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.data.integrity import check_dataset
from tiledseg.errors import DatasetError, ImageError
from tiledseg.images.reading import read_mask

STEMS = ("a", "b", "c", "d_1")
Write = Callable[[Path, str, np.ndarray, np.ndarray], None]


def picture(stem: str) -> tuple[np.ndarray, np.ndarray]:
    """An image (40, 50, 3) and labels (40, 50) of its two objects, 1 and 2."""
    number = STEMS.index(stem)
    image = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    labels = np.zeros((40, 50), np.uint8)
    labels[4 : 14 + number, 5:17] = 1
    labels[22:35, 28 : 41 + number] = 2
    return image, labels


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)


def binary(labels: np.ndarray) -> np.ndarray:
    return (labels > 0).astype(np.uint8) * 255


def other_folders(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    save(root / "raw" / f"{stem}.png", image)
    save(root / "annotation" / f"{stem}.png", binary(labels))


def split_last(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    split = {"c": "valid", "d_1": "test"}.get(stem, "train")
    save(root / "img" / split / f"{stem}.png", image)
    save(root / "gt" / split / f"{stem}.png", binary(labels))


def suffix(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    save(root / f"{stem}.png", image)
    save(root / f"{stem}_mask.png", binary(labels))


def two_suffixes(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    save(root / "all" / f"{stem}_img.png", image)
    save(root / "all" / f"{stem}_seg.png", binary(labels))


def extension(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    save(root / f"{stem}.jpg", image)
    save(root / f"{stem}.png", binary(labels))


def several_by_name(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    save(root / "images" / f"{stem}.png", image)
    for label in (1, 2):
        save(root / "masks" / f"{stem}_{label}.png", binary(labels == label))


def several_in_folders(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    save(root / "images" / f"{stem}.png", image)
    for label in (1, 2):
        save(root / "masks" / stem / f"cell{label}.png", binary(labels == label))


def instances(dtype: Any, extension: str) -> Write:
    def write(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
        save(root / "images" / f"{stem}.png", image)
        most = {np.uint8: 1, np.uint16: 300, np.uint32: 70_000}[dtype]
        save(root / "masks" / f"{stem}{extension}", labels.astype(dtype) * dtype(most))

    write.__name__ = f"instances_{np.dtype(dtype).name}"
    return write


def colored(colors: dict[int, tuple[int, int, int]], name: str) -> Write:
    def write(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
        save(root / "images" / f"{stem}.png", image)
        table = np.array([colors[label] for label in range(3)], np.uint8)
        save(root / "masks" / f"{stem}.png", table[labels])

    write.__name__ = name
    return write


def palette(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    save(root / "images" / f"{stem}.png", image)
    colors = np.zeros((3, 256), np.uint16)
    colors[:, 1:3] = np.array([[80, 0, 0], [0, 90, 30]]).T * 257
    (root / "masks").mkdir(exist_ok=True)
    tifffile.imwrite(root / "masks" / f"{stem}.tif", labels, photometric="palette", colormap=colors)


def pages(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    """An object on each page, as ImageJ and tools for labeling write them; four at least."""
    save(root / "images" / f"{stem}.png", image)
    objects = [labels == 1, labels == 2, (labels == 1) & False, (labels == 2) & False]
    (root / "masks").mkdir(exist_ok=True)
    path = root / "masks" / f"{stem}.tif"
    stack = np.stack(objects[::-1]).astype(np.uint8) * 255
    kinds = {"a": {"imagej": True}, "b": {"tile": (16, 16)}, "c": {"metadata": {"axes": "CYX"}}}
    tifffile.imwrite(path, stack, photometric="minisblack", **kinds.get(stem, {"metadata": None}))


FORMS: list[tuple[Write, dict[str, Any]]] = [
    (other_folders, {"images": "raw", "masks": "annotation"}),
    (split_last, {"images": "img/{split}", "masks": "gt/{split}"}),
    (suffix, {"images": ".", "masks": ".", "mask_suffix": "_mask"}),
    (
        two_suffixes,
        {"images": "all", "masks": "all", "image_suffix": "_img", "mask_suffix": "_seg"},
    ),
    (extension, {"images": ".", "masks": ".", "image_suffix": ".jpg", "mask_suffix": ".png"}),
    (several_by_name, {"masks_per_image": "several"}),
    (several_in_folders, {"masks_per_image": "several"}),
    (instances(np.uint8, ".png"), {"mask_form": "nonzero"}),
    (instances(np.uint16, ".png"), {"mask_form": "nonzero"}),
    (instances(np.uint32, ".tif"), {"mask_form": "nonzero"}),
    (palette, {"mask_form": "nonzero"}),
    (pages, {}),
    (
        colored({0: (0, 0, 0), 1: (90, 0, 0), 2: (0, 200, 60)}, "colors_on_black"),
        {"mask_form": "nonzero"},
    ),
    (colored({0: (0, 0, 0), 1: (0, 255, 0), 2: (0, 255, 0)}, "one_color"), {}),
    (
        colored({0: (200, 200, 255), 1: (90, 0, 0), 2: (0, 128, 0)}, "colors_on_color"),
        {"mask_form": "values", "mask_values": "#008000, #5a0000"},
    ),
]
EACH_FORM = pytest.mark.parametrize(
    ("write", "keys"), FORMS, ids=lambda value: getattr(value, "__name__", "")
)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """A function that writes all pictures in one form; returns ROOT/Mine."""

    def fill(write: Write) -> Path:
        root = tmp_path / "root" / "Mine"
        for stem in STEMS:
            write(root, stem, *picture(stem))
        return root

    return fill


@EACH_FORM
def test_declared(folder, write, keys):
    root = folder(write)
    settings = DatasetSettings.model_validate({"name": "Mine", **keys})
    dataset = load_dataset(settings, root.parent)
    samples = {sample.stem: sample for part in dataset.splits.values() for sample in part}
    assert sorted(samples) == sorted(STEMS)
    for stem, sample in samples.items():
        np.testing.assert_array_equal(
            read_mask(sample.mask, settings.mask_threshold), picture(stem)[1] > 0
        )
        assert all(path.is_relative_to(root) for path in sample.mask_files)
        assert sample.image.stem.startswith(stem)
    experiment = Experiment.model_validate(
        {"dataset": {"name": "Mine", **keys}, "image": {"size": 32}, "model": {"num_layers": 2}}
    )
    summary = check_dataset(dataset, experiment, PixelCache())
    assert summary.splits["train"].foreground > 0.1
    report = check_folder(root, experiment)
    assert report.is_sound
    assert len(report.images) == 4


@EACH_FORM
def test_suggested(folder, write, keys):
    root = folder(write)
    suggestion = suggest_section(root, "Mine")
    assert parse_yaml(suggestion.section) == {"dataset": {"name": "Mine", **keys}}
    count = 2 if write is split_last else 4
    assert f"{count} images with masks" in suggestion.summary


@pytest.mark.parametrize("kind", ["gray", "palette", "16 bits", "tiff"])
@pytest.mark.parametrize("most", [1, 2])
def test_255_beside_small_labels_is_void(folder, kind, most):
    """As in Pascal VOC: numbers of classes, and a rim of 255 around each object."""

    def write(root: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
        save(root / "images" / f"{stem}.png", image)
        values = np.minimum(labels, most)
        grown = cv2.dilate(values, np.ones((5, 5), np.uint8))
        values[(values == 0) & (grown > 0)] = 255
        path = root / "masks" / f"{stem}.png"
        if kind == "palette":
            path.parent.mkdir(exist_ok=True)
            indexed = Image.fromarray(values)
            indexed.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * 252 * 3, 224, 224, 192])
            indexed.save(path)
        else:
            typed = values.astype(np.uint16) if kind == "16 bits" else values
            save(path.with_suffix(".tif") if kind == "tiff" else path, typed)

    root = folder(write)
    usual = Experiment.model_validate({"dataset": {"name": "Mine"}, "image": {"size": 32}})
    report = check_folder(root, usual)
    void = [finding for finding in report.findings if finding.code == "mask-void"]
    assert [finding.severity for finding in void] == ["error"] * 4
    assert re.search(r"values 0 \([0-9.]+%\), 1 \([0-9.]+%\).* 255 \(", void[0].message)
    suggestion = suggest_section(root, "Mine")
    classes = ["background", "class 1", "class 2"][: most + 1]
    told = {"name": "Mine", "mask_form": "labels", "classes": classes, "ignore_label": 255}
    assert parse_yaml(suggestion.section) == {"dataset": told}
    model = {"num_classes": 3 if most == 2 else 1}
    named = Experiment.model_validate({"dataset": told, "image": {"size": 32}, "model": model})
    assert check_folder(root, named).is_sound


def test_numbers_that_are_black_on_the_8_bit_scale_are_named(folder):
    root = folder(instances(np.uint16, ".png"))
    usual = Experiment.model_validate({"dataset": {"name": "Mine"}, "image": {"size": 32}})
    found = [
        finding for finding in check_folder(root, usual).findings if finding.severity == "error"
    ]
    assert {finding.code for finding in found} == {"mask-too-dark", "split-without-foreground"}


def test_labels_do_not_stand_on_several_pages(folder):
    root = folder(pages)
    labels = {"name": "Mine", "mask_form": "labels", "classes": ["ground", "object"]}
    with pytest.raises(DatasetError, match=r"a\.tif: has 4 pages, and labels stand on one"):
        load_dataset(DatasetSettings.model_validate(labels), root.parent)


def test_a_folder_that_fits_no_form(tmp_path):
    for stem in STEMS:
        save(tmp_path / "photos" / f"{stem}.png", picture(stem)[0])
    with pytest.raises(DatasetError) as caught:
        suggest_section(tmp_path, "Mine")
    told = str(caught.value)
    for words in ("4 in photos (a.png, ...)", "dataset:\n  name: NAME", "mask_suffix: ''"):
        assert words in told
    with pytest.raises(DatasetError, match="no images"):
        (tmp_path / "empty").mkdir()
        suggest_section(tmp_path / "empty", "Mine")


def test_loading_says_how_to_declare(folder, tmp_path):
    root = folder(other_folders)
    with pytest.raises(DatasetError, match=r"dataset\.images.*--suggest"):
        load_dataset(DatasetSettings(name="Mine"), root.parent)


class TestConvertedMasks:
    settings = DatasetSettings(name="Mine", masks_per_image="several")

    def test_made_once_and_made_anew_when_a_file_changes(self, folder):
        root = folder(several_by_name)
        first = load_dataset(self.settings, root.parent)
        masks = {sample.mask: sample.mask.stat().st_mtime_ns for sample in first.splits["train"]}
        again = load_dataset(self.settings, root.parent)
        assert again.digest == first.digest
        assert {part.mask: part.mask.stat().st_mtime_ns for part in again.splits["train"]} == masks
        stem = first.splits["train"][0].stem
        save(root / "masks" / f"{stem}_2.png", np.full((40, 50), 255, np.uint8))
        changed = load_dataset(self.settings, root.parent)
        assert changed.digest != first.digest
        assert read_mask(changed.splits["train"][0].mask).all()

    def test_parts_of_different_size_are_refused_and_found(self, folder):
        root = folder(several_by_name)
        save(root / "masks" / "b_2.png", np.zeros((4, 5), np.uint8))
        with pytest.raises(DatasetError, match=r"b_2\.png: the mask is 5 x 4 pixels, but .*b_1"):
            load_dataset(self.settings, root.parent)
        experiment = Experiment.model_validate(
            {"dataset": {"name": "Mine", "masks_per_image": "several"}}
        )
        findings = check_folder(root, experiment).findings
        assert ("sizes-differ", "b_1.png") in {
            (finding.code, finding.place.name) for finding in findings
        }

    def test_a_broken_part_is_named(self, folder):
        root = folder(several_by_name)
        (root / "masks" / "b_2.png").write_bytes(b"no image")
        with pytest.raises(ImageError, match=r"b_2\.png"):
            load_dataset(self.settings, root.parent)
        experiment = Experiment.model_validate(
            {"dataset": {"name": "Mine", "masks_per_image": "several"}}
        )
        (finding,) = [
            finding
            for finding in check_folder(root, experiment).findings
            if finding.code == "unreadable"
        ]
        assert finding.place.name == "b_2.png"

    def test_a_part_without_image(self, folder):
        root = folder(several_by_name)
        save(root / "masks" / "z_1.png", np.zeros((40, 50), np.uint8))
        with pytest.raises(DatasetError, match=r"1 of 5 masks without image: z_1\.png"):
            load_dataset(self.settings, root.parent)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"images": "x", "masks": "x"}, "set mask_suffix"),
        ({"mask_form": "values"}, "at least one"),
        ({"mask_values": "3"}, "does not go with"),
        ({"images": "../x"}, "images"),
        ({"masks": "/x"}, "masks"),
        ({"mask_form": "values", "mask_values": "3 green"}, "'green' is no value"),
    ],
)
def test_impossible_declarations(keys, words):
    with pytest.raises(ValidationError, match=words):
        DatasetSettings.model_validate({"name": "Mine", **keys})
