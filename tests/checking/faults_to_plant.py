"""Faults as users make them, planted into a sound dataset; each returns the file it is about."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tifffile

from tiledseg.checking.finding import Finding, Report

Plant = Callable[[Path], Path]


class Fault(NamedTuple):
    code: str
    severity: str
    words: str
    plant: Plant


def told(report: Report, code: str) -> list[Finding]:
    """The findings of one kind."""
    return [finding for finding in report.findings if finding.code == code]


def disc(folder: Path, kind: str, number: int) -> Path:
    """A file of the sound dataset: 0 to 5 are in train, 6 to 8 in valid, 9 to 11 in test."""
    split = "train" if number < 6 else "valid" if number < 9 else "test"
    return folder / split / kind / f"disc{number}.png"


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def truncated_image(folder: Path) -> Path:
    path = disc(folder, "images", 0)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def text_named_png(folder: Path) -> Path:
    path = disc(folder, "masks", 6)
    path.write_text("not a mask")
    return path


def image_without_mask(folder: Path) -> Path:
    disc(folder, "masks", 1).unlink()
    return disc(folder, "images", 1)


def mask_without_image(folder: Path) -> Path:
    disc(folder, "images", 9).unlink()
    return disc(folder, "masks", 9)


def stem_twice(folder: Path) -> Path:
    path = disc(folder, "images", 2)
    cv2.imwrite(str(path.with_suffix(".bmp")), 255 - read(path))
    return path


def other_size(folder: Path) -> Path:
    path = disc(folder, "masks", 3)
    cv2.imwrite(str(path), read(path)[:90])
    return path


def turned_mask(folder: Path) -> Path:
    image, mask = disc(folder, "images", 4), disc(folder, "masks", 4)
    cv2.imwrite(str(image), read(image)[:90])
    cv2.imwrite(str(mask), np.rot90(read(mask)[:90]).copy())
    return mask


def mask_of_0_and_1(folder: Path) -> Path:
    path = disc(folder, "masks", 5)
    cv2.imwrite(str(path), (read(path) > 0).astype(np.uint8))
    return path


def class_below_the_threshold(folder: Path) -> Path:
    path = disc(folder, "masks", 7)
    mask = read(path)
    mask[:40, :40] = 100
    mask[60:95, 60:95] = 255
    cv2.imwrite(str(path), mask)
    return path


def two_classes(folder: Path) -> Path:
    path = disc(folder, "masks", 10)
    mask = np.zeros((96, 96), np.uint8)
    mask[5:45, 5:45], mask[50:90, 50:90] = 255, 160
    cv2.imwrite(str(path), mask)
    return path


def gray_mask(folder: Path) -> Path:
    path = disc(folder, "masks", 11)
    cv2.imwrite(str(path), cv2.GaussianBlur(read(path), (0, 0), 9.0) * 2)
    return path


def empty_mask(folder: Path) -> Path:
    path = disc(folder, "masks", 8)
    cv2.imwrite(str(path), np.zeros((96, 96), np.uint8))
    return path


def no_foreground_in_train(folder: Path) -> Path:
    for path in (folder / "train" / "masks").iterdir():
        cv2.imwrite(str(path), np.zeros((96, 96), np.uint8))
    return folder / "train" / "masks"


def inverted_mask(folder: Path) -> Path:
    path = disc(folder, "masks", 0)
    cv2.imwrite(str(path), 255 - read(path))
    return path


def all_masks_inverted(folder: Path) -> Path:
    for path in folder.rglob("masks/*.png"):
        cv2.imwrite(str(path), 255 - read(path))
    return folder / "train" / "masks"


def full_mask(folder: Path) -> Path:
    path = disc(folder, "masks", 1)
    cv2.imwrite(str(path), np.full((96, 96), 255, np.uint8))
    return path


def mask_is_its_image(folder: Path) -> Path:
    path = disc(folder, "masks", 2)
    path.write_bytes(disc(folder, "images", 2).read_bytes())
    return path


def mask_of_another_image(folder: Path) -> Path:
    path = disc(folder, "masks", 4)
    path.write_bytes(disc(folder, "masks", 3).read_bytes())
    return path


def specks(folder: Path) -> Path:
    path = disc(folder, "masks", 5)
    mask = read(path)
    mask[0, 0] = mask[95, 95] = 255
    cv2.imwrite(str(path), mask)
    return path


def same_file_twice(folder: Path) -> Path:
    path = disc(folder, "images", 1)
    path.write_bytes(disc(folder, "images", 0).read_bytes())
    return path


def same_file_in_two_splits(folder: Path) -> Path:
    path = disc(folder, "images", 9)
    path.write_bytes(disc(folder, "images", 0).read_bytes())
    return path


def saved_again_in_the_split(folder: Path) -> Path:
    return saved_again(disc(folder, "images", 2), disc(folder, "images", 3))


def saved_again_in_another_split(folder: Path) -> Path:
    return saved_again(disc(folder, "images", 2), disc(folder, "images", 10))


def mirrored_in_another_split(folder: Path) -> Path:
    path = disc(folder, "images", 11)
    cv2.imwrite(str(path), np.fliplr(np.rot90(read(disc(folder, "images", 5)))).copy())
    return path


def saved_again(source: Path, target: Path) -> Path:
    """As a JPEG of mean quality, a little brighter."""
    target.unlink()
    picture = np.clip(read(source) * 1.05 + 3, 0, 255).astype(np.uint8)
    cv2.imwrite(str(target.with_suffix(".jpg")), picture, (cv2.IMWRITE_JPEG_QUALITY, 70))
    return target.with_suffix(".jpg")


def neighboring_frame(folder: Path) -> Path:
    """A frame later everything has moved by four pixels, and there is more in it."""
    path, shown = disc(folder, "images", 7), read(disc(folder, "images", 1))
    cv2.imwrite(str(path), np.roll(shown, 1, axis=1))
    return path


def source_in_two_splits(folder: Path) -> Path:
    for number, name in ((0, "smear_0_0"), (6, "smear_0_96")):
        for kind in ("images", "masks"):
            path = disc(folder, kind, number)
            path.rename(path.with_stem(name))
    return folder / "valid" / "images" / "smear_0_96.png"


def too_bright(folder: Path) -> Path:
    for number in range(12):
        path = disc(folder, "images", number)
        cv2.imwrite(str(path), (read(path) * 0.6).astype(np.uint8))
    path = disc(folder, "images", 8)
    cv2.imwrite(str(path), np.clip(read(path) * 1.6, 0, 255).astype(np.uint8))
    return path


def nothing_to_see(folder: Path) -> Path:
    path = disc(folder, "images", 4)
    cv2.imwrite(str(path), np.full((96, 96, 3), 210, np.uint8))
    return path


def gray_among_color(folder: Path) -> Path:
    path = disc(folder, "images", 3)
    cv2.imwrite(str(path), read(path).mean(axis=2).astype(np.uint8))
    return path


def sixteen_bits_among_eight(folder: Path) -> Path:
    path = disc(folder, "images", 2)
    cv2.imwrite(str(path), read(path).astype(np.uint16) * 257)
    return path


def twelve_bits_in_sixteen(folder: Path) -> Path:
    path = disc(folder, "images", 1)
    cv2.imwrite(str(path), read(path).astype(np.uint16) * 16)
    return path


def fourteen_bits_in_sixteen(folder: Path) -> Path:
    path = disc(folder, "images", 1)
    cv2.imwrite(str(path), read(path).astype(np.uint16) * 40)
    return path


def zeros_in_a_jpeg(folder: Path) -> Path:
    """As a bad sector leaves them."""
    path, data = as_jpeg(disc(folder, "images", 3))
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    return path


def half_a_jpeg_with_an_end_marker(folder: Path) -> Path:
    """As repair tools leave it."""
    path, data = as_jpeg(disc(folder, "images", 4))
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    return path


def as_jpeg(path: Path) -> tuple[Path, bytearray]:
    noise = np.random.default_rng(0).integers(0, 30, (96, 96, 3), np.uint8)
    data = bytearray(cv2.imencode(".jpg", cv2.subtract(read(path), noise))[1].tobytes())
    path.unlink()
    return path.with_suffix(".jpg"), data


def transparent(folder: Path) -> Path:
    path = disc(folder, "images", 0)
    alpha = np.full((96, 96, 1), 255, np.uint8)
    alpha[:30] = 0
    cv2.imwrite(str(path), np.concatenate([read(path), alpha], axis=2))
    return path


def mask_with_alpha(folder: Path) -> Path:
    path = disc(folder, "masks", 0)
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    alpha = np.zeros_like(mask)
    alpha[:20, :20] = 255  # an object that nothing else tells
    cv2.imwrite(str(path), np.dstack([mask, mask, mask, alpha]))
    return path


def several_pages(folder: Path) -> Path:
    path = disc(folder, "images", 6)
    pages = np.stack([read(path)[..., ::-1]] * 3)
    path.unlink()
    tifffile.imwrite(path.with_suffix(".tif"), pages, photometric="rgb")
    return path.with_suffix(".tif")


def one_validation_image(folder: Path) -> Path:
    for number in (7, 8):
        for kind in ("images", "masks"):
            disc(folder, kind, number).unlink()
    return folder / "valid" / "images"


def empty_split(folder: Path) -> Path:
    for path in (folder / "test").rglob("*.png"):
        path.unlink()
    return folder / "test" / "images"


def split_called_val(folder: Path) -> Path:
    (folder / "valid").rename(folder / "val")
    return folder / "val"


def array_among_images(folder: Path) -> Path:
    path = folder / "train" / "images" / "later.npy"
    np.save(path, np.zeros((96, 96), np.uint8))
    return path


def folder_among_masks(folder: Path) -> Path:
    path = folder / "train" / "masks" / "old"
    path.mkdir()
    return path


def mask_in_capitals(folder: Path) -> Path:
    path = disc(folder, "masks", 2)
    path.rename(path.with_stem("DISC2"))
    return disc(folder, "images", 2)


def mask_with_accents_in_another_form(folder: Path) -> Path:
    """As macOS and Windows write them."""
    image, mask = disc(folder, "images", 2), disc(folder, "masks", 2)
    mask.rename(mask.with_stem(unicodedata.normalize("NFD", "gr\u00fcn")))
    return image.rename(image.with_stem("gr\u00fcn"))


def name_in_latin_1(folder: Path) -> Path:
    """As an archive made on Windows leaves it."""
    for kind in ("masks", "images"):
        path = disc(folder, kind, 2)
        renamed = path.rename(path.with_stem(os.fsdecode(b"gr\xf6\xdfe")))
    return renamed


FAULTS = [
    Fault("unreadable", "error", "truncated PNG", truncated_image),
    Fault("unreadable", "error", "not a JPEG, PNG, BMP or TIFF", text_named_png),
    Fault("image-without-mask", "error", "has no mask", image_without_mask),
    Fault("mask-without-image", "error", "has no image", mask_without_image),
    Fault("image-without-mask", "error", "only in upper and lower case", mask_in_capitals),
    Fault("image-without-mask", "error", "Unicode form", mask_with_accents_in_another_form),
    Fault("name-not-utf8", "error", "not UTF-8", name_in_latin_1),
    Fault("stem-twice", "error", "same stem as disc2.bmp", stem_twice),
    Fault("sizes-differ", "error", "96 x 90 pixels", other_size),
    Fault("sizes-differ", "error", "90 x 96 pixels", turned_mask),
    Fault("mask-too-dark", "error", "brightest value is 1", mask_of_0_and_1),
    Fault("mask-classes-lost", "error", "count as background", class_below_the_threshold),
    Fault("mask-several-values", "warning", "another value", two_classes),
    Fault("mask-gray", "warning", "soft", gray_mask),
    Fault("mask-empty", "note", "marks nothing", empty_mask),
    Fault("split-without-foreground", "error", "no mask of train", no_foreground_in_train),
    Fault("mask-inverted", "warning", "foreground, where others", inverted_mask),
    Fault("masks-inverted", "warning", "half of all masks", all_masks_inverted),
    Fault("mask-full", "warning", "100.0% foreground", full_mask),
    Fault("mask-is-image", "error", "copy of its image", mask_is_its_image),
    Fault("mask-twice", "warning", "same file as disc3.png", mask_of_another_image),
    Fault("mask-specks", "note", "2 object(s)", specks),
    Fault("same-image-twice", "warning", "same file as disc0.png", same_file_twice),
    Fault("same-image-in-two-splits", "error", "disc0.png of train", same_file_in_two_splits),
    Fault("copy", "warning", "shows the same as disc2.png", saved_again_in_the_split),
    Fault("copy-in-two-splits", "error", "disc2.png of train", saved_again_in_another_split),
    Fault("copy-in-two-splits", "error", "mirrored or turned", mirrored_in_another_split),
    Fault("alike-in-two-splits", "warning", "much like disc1.png", neighboring_frame),
    Fault("source-in-two-splits", "error", "comes from smear", source_in_two_splits),
    Fault("brightness-outlier", "warning", "much brighter", too_bright),
    Fault("image-uniform", "warning", "about 210", nothing_to_see),
    Fault("channels-differ", "warning", "gray, where 11 of 12", gray_among_color),
    Fault("bits-differ", "warning", "16 bits", sixteen_bits_among_eight),
    Fault("image-few-bits", "warning", "lowest of them", twelve_bits_in_sixteen),
    Fault("image-few-bits", "warning", "lowest of them", fourteen_bits_in_sixteen),
    Fault("unreadable", "error", "damaged JPEG", zeros_in_a_jpeg),
    Fault("unreadable", "error", "damaged JPEG", half_a_jpeg_with_an_end_marker),
    Fault("mask-alpha", "warning", "alpha channel", mask_with_alpha),
    Fault("image-alpha", "warning", "alpha channel", transparent),
    Fault("image-pages", "warning", "3 pages", several_pages),
    Fault("split-small", "warning", "valid has 1 image", one_validation_image),
    Fault("layout", "error", "holds no images", empty_split),
    Fault("split-misnamed", "warning", "called valid", split_called_val),
    Fault("file-not-read", "warning", ".npy", array_among_images),
    Fault("file-not-read", "note", "is a folder", folder_among_masks),
]
TOGETHER = [
    truncated_image,
    text_named_png,
    image_without_mask,
    mask_without_image,
    stem_twice,
    other_size,
    turned_mask,
    mask_of_0_and_1,
    class_below_the_threshold,
    two_classes,
    empty_mask,
    array_among_images,
    folder_among_masks,
]
"""Faults of different files, so that one does not hide another."""
