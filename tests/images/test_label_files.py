"""Masks whose pixels name a class, written by other programs, come out as label maps."""

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from tiledseg.config import DatasetSettings
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.data.mask_encoding import digest_masks
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError, ImageError
from tiledseg.images.label_files import read_label_map, read_labels
from tiledseg.images.reading import read_image, read_indices, read_mask_brightness
from tiledseg.images.writing import write_labels
from tiledseg.masks.classes import IGNORED, class_colors, label_palette

CLASSES = ("background", "nucleus", "cytoplasm")
COLORS = ("#000000", "#ff0000", "#00ff80")
LABELS = np.array([[0, 1, 2, 1, 0], [2, 2, 0, 1, 1], [0, 0, 1, 2, 2]], np.uint8)


def settings(**keys) -> DatasetSettings:
    return DatasetSettings.model_validate(
        {"name": "a", "mask_form": "labels", "classes": CLASSES, **keys}
    )


def with_palette(labels: np.ndarray) -> Image.Image:
    picture = Image.fromarray(labels).convert("L")
    indexed = Image.frombytes("P", picture.size, picture.tobytes())
    indexed.putpalette([7, 7, 9, 7, 7, 9, 200, 10, 10, 1, 2, 3])  # two indices of one color
    return indexed


def in_colors(labels: np.ndarray) -> np.ndarray:
    rgb = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 128]], np.uint8)
    return np.ascontiguousarray(rgb[labels][..., ::-1])


class TestLabels:
    @pytest.mark.parametrize("kind", [".png", ".tif", ".bmp"])
    def test_of_gray_files_are_their_values(self, tmp_path, kind):
        cv2.imwrite(str(tmp_path / f"a{kind}"), LABELS)
        assert np.array_equal(read_labels(tmp_path / f"a{kind}", settings()), LABELS)

    @pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32])
    def test_of_wide_files_are_their_values(self, tmp_path, dtype):
        tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(dtype))
        assert np.array_equal(read_labels(tmp_path / "a.tif", settings()), LABELS)

    @pytest.mark.parametrize("bits", [2, 4, 8])
    def test_of_palettes_are_their_indices(self, tmp_path, bits):
        with_palette(LABELS).save(tmp_path / "a.png", bits=bits)
        assert np.array_equal(read_labels(tmp_path / "a.png", settings()), LABELS)

    def test_of_palettes_in_tiff(self, tmp_path):
        with_palette(LABELS).save(tmp_path / "a.tif")
        assert np.array_equal(read_labels(tmp_path / "a.tif", settings()), LABELS)

    def test_of_files_of_one_bit(self, tmp_path):
        two = settings(classes=CLASSES[:2])
        Image.fromarray(LABELS == 1).save(tmp_path / "a.png")
        assert np.array_equal(read_labels(tmp_path / "a.png", two), LABELS == 1)

    def test_of_gray_written_as_colors(self, tmp_path):
        cv2.imwrite(str(tmp_path / "a.png"), np.repeat(LABELS[..., None], 3, axis=2))
        assert np.array_equal(read_labels(tmp_path / "a.png", settings()), LABELS)

    @pytest.mark.parametrize(("stored", "key"), [(255, 255), (9, 9)])
    def test_that_are_not_known(self, tmp_path, stored, key):
        labels = LABELS.copy()
        labels[1, 1] = stored
        cv2.imwrite(str(tmp_path / "a.png"), labels)
        found = read_labels(tmp_path / "a.png", settings(ignore_label=key))
        assert found[1, 1] == IGNORED
        assert np.array_equal(np.delete(found, 6), np.delete(LABELS, 6))

    def test_beyond_the_classes_are_refused_with_file_and_value(self, tmp_path):
        labels = LABELS.astype(np.uint16)
        labels[0, :2] = 259  # in 8 bits it would be class 3
        cv2.imwrite(str(tmp_path / "a.png"), labels)
        with pytest.raises(DatasetError, match=r"a\.png: holds the value 259 \(2 pixels"):
            read_labels(tmp_path / "a.png", settings())

    def test_of_colored_files_are_refused(self, tmp_path):
        cv2.imwrite(str(tmp_path / "a.png"), in_colors(LABELS))
        with pytest.raises(DatasetError, match=r"a\.png: holds colors.*mask_form colors"):
            read_labels(tmp_path / "a.png", settings())

    def test_of_a_damaged_palette_file_are_refused(self, tmp_path):
        with_palette(LABELS).save(tmp_path / "a.png")
        data = (tmp_path / "a.png").read_bytes()
        (tmp_path / "a.png").write_bytes(data[:-20])
        with pytest.raises(ImageError, match=r"a\.png"):
            read_labels(tmp_path / "a.png", settings())


class TestColors:
    declared = settings(mask_form="colors", mask_colors=COLORS)

    @pytest.mark.parametrize("kind", [".png", ".tif", ".bmp"])
    def test_are_told_apart(self, tmp_path, kind):
        cv2.imwrite(str(tmp_path / f"a{kind}"), in_colors(LABELS))
        assert np.array_equal(read_labels(tmp_path / f"a{kind}", self.declared), LABELS)

    def test_in_a_jpeg_are_the_nearest(self, tmp_path):
        large = np.kron(LABELS, np.ones((32, 32), np.uint8))
        cv2.imwrite(str(tmp_path / "a.jpg"), in_colors(large))
        found = read_labels(tmp_path / "a.jpg", self.declared)
        assert np.mean(found == large) > 0.99

    def test_of_no_class_are_refused_with_file_and_color(self, tmp_path):
        pixels = in_colors(LABELS)
        pixels[0, 0] = (3, 2, 1)
        cv2.imwrite(str(tmp_path / "a.png"), pixels)
        with pytest.raises(DatasetError, match=r"a\.png: holds the color #010203 \(1 pixels"):
            read_labels(tmp_path / "a.png", self.declared)
        known = self.declared.model_copy(update={"ignore_label": "#010203"})
        assert read_labels(tmp_path / "a.png", known)[0, 0] == IGNORED


class TestWritten:
    def test_labels_come_back_and_others_see_their_colors(self, tmp_path):
        labels = np.where(LABELS == 2, IGNORED, LABELS).astype(np.uint8)
        write_labels(tmp_path / "a.png", labels, 3)
        assert np.array_equal(read_indices(tmp_path / "a.png"), labels)
        with Image.open(tmp_path / "a.png") as picture:
            assert np.array_equal(np.asarray(picture), labels)
            assert np.array_equal(np.asarray(picture.convert("RGB")), label_palette(3)[labels])
        assert np.array_equal(read_image(tmp_path / "a.png"), label_palette(3)[labels])

    def test_every_class_is_foreground_to_a_reader_that_cuts(self, tmp_path):
        labels = np.arange(20, dtype=np.uint8).reshape(4, 5)
        labels[3, 4] = IGNORED
        write_labels(tmp_path / "a.png", labels, 19)
        expected = (labels > 0) & (labels != IGNORED)
        assert np.array_equal(read_mask_brightness(tmp_path / "a.png") > 127, expected)

    def test_neighboring_classes_differ_in_color(self):
        assert len(set(class_colors(9))) == 9


def dataset_of(tmp_path, *labels: np.ndarray):
    for split, mask in zip(("train", "valid", "test"), labels, strict=True):
        for kind in ("images", "masks"):
            (tmp_path / "a" / split / kind).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "a" / split / "images" / "x.png"), np.zeros((3, 5, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "a" / split / "masks" / "x.png"), mask)
    return tmp_path


class TestADataset:
    def test_is_read_as_labels_into_the_cache(self, tmp_path):
        root = dataset_of(tmp_path, LABELS, np.fliplr(LABELS), LABELS)
        dataset = load_dataset(settings(), root)
        found = PixelCache().mask(dataset.splits["train"][0].mask, settings().foreground_threshold)
        assert np.array_equal(found, LABELS)
        assert np.array_equal(
            read_label_map(dataset.splits["valid"][0].mask, None), LABELS[:, ::-1]
        )

    def test_with_a_value_that_is_no_class_is_refused(self, tmp_path):
        root = dataset_of(tmp_path, LABELS, LABELS, LABELS + 1)
        with pytest.raises(DatasetError, match=r"test.masks.x\.png: holds the value 3"):
            load_dataset(settings(), root)

    def test_read_by_another_rule_is_another_dataset(self, tmp_path):
        root = dataset_of(tmp_path, LABELS, LABELS, LABELS)
        path = root / "a" / "train" / "masks" / "x.png"
        sample = Sample("x", path, path, (path,))
        rules = [
            settings(),
            settings(classes=(*CLASSES, "other")),
            settings(ignore_label=9),
            settings(mask_form="colors", mask_colors=COLORS),
            settings(mask_form="colors", mask_colors=COLORS[::-1]),
            settings(mask_form="nonzero", classes=()),
        ]
        assert len({digest_masks(sample, rule) for rule in rules}) == len(rules)
        renamed = settings(classes=("a", "b", "c"))
        assert digest_masks(sample, renamed) == digest_masks(sample, settings())


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"classes": ()}, "needs classes"),
        ({"classes": ("a",)}, "give 2 to 255"),
        ({"classes": ("a", "A")}, "two classes have one name"),
        ({"classes": ("a", "b/c")}, "cannot name a class"),
        ({"masks_per_image": "several"}, "several does not go with"),
        ({"ignore_label": 2}, "is a class's own"),
        ({"ignore_label": "#ff00ff"}, "give a number with labels"),
        ({"mask_colors": COLORS}, "use mask_form colors"),
        ({"mask_form": "colors"}, "0 colors for 3 classes"),
        ({"mask_form": "colors", "mask_colors": ("#000000", "#ff0000", "red")}, "is no color"),
        ({"mask_form": "colors", "mask_colors": ("#0000ff", "#0000FF", "#ff0000")}, "one color"),
        ({"mask_form": "threshold", "ignore_label": 9}, "use mask_form labels or colors"),
        ({"mask_form": "threshold", "synthetic": {"labels": "cells"}}, "use mask_form labels"),
    ],
)
def test_impossible_settings_are_refused(keys, words):
    with pytest.raises(ValueError, match=words):
        settings(**keys)
