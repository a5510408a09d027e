"""BreastDM: slices of breast MRI, and their labels under the same path.

seg/train/images/BreaDM-Ma-1801/VIBRANT/p-032.jpg
seg/train/labels/BreaDM-Ma-1801/VIBRANT/p-032.png      and val, test

Ma is a malignant tumour and Be a benign one. A patient has series before (VIBRANT) and after
contrast agent, and their differences (SUB).
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tiledseg.data.published.format import (
    Pixels,
    PublishedImage,
    folders_with,
    format_error,
    incomplete_error,
    subfolder,
)
from tiledseg.images.content import IMAGE_SUFFIXES
from tiledseg.images.reading import read_image, read_mask_brightness

EXPECTED = (
    "seg/train/images/BreaDM-Ma-1801/VIBRANT/p-032.jpg beside seg/train/labels/ with the same "
    "path, and val and test"
)
_MASK_FOLDERS = ("labels", "masks", "gt")
_BENIGN = re.compile(r"(^|[-_ ])(be|benign|b)([-_ ]|$)", re.IGNORECASE)
_SPLITS = {"train": "train", "val": "valid", "valid": "valid", "validation": "valid"}


def find_malignant(folder: Path) -> list[PublishedImage]:
    """Slices of malignant tumours that have a label, split as the authors split them.

    Args:
        folder: Unpacked; the folders of images and labels may lie deeper.

    Raises:
        DatasetError: The folder is of another form, or no slice has a label.
    """
    found = []
    for home, masks in _homes(folder):
        labels = {_key(path, masks): path for path in _pictures(masks)}
        images = {
            _key(path, subfolder(home, "images")): path
            for path in _pictures(subfolder(home, "images"))
        }
        lonely = [key for key in labels if key not in images]
        if lonely:
            raise incomplete_error(home, lonely, "labels without an image", EXPECTED)
        split = _SPLITS.get(home.name.casefold(), "test" if home.name == "test" else "")
        for key, label in sorted(labels.items()):
            if any(_BENIGN.search(part) for part in key.split("/")[:-1]):
                continue
            name = key.replace("/", "_")
            patient = key.split("/")[0] if "/" in key else name
            found.append(PublishedImage(patient, name, split, _reader(name, images[key], label)))
    if not found:
        raise format_error(folder, EXPECTED)
    return found


def _homes(folder: Path) -> Iterator[tuple[Path, Path]]:
    if folder.is_dir():
        for masks in _MASK_FOLDERS:
            for home in folders_with(folder, "images", masks):
                yield home, subfolder(home, masks)


def _pictures(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES
    ]


def _key(path: Path, home: Path) -> str:
    return path.relative_to(home).with_suffix("").as_posix()


def _reader(
    name: str, image: Path, label: Path
) -> Callable[[], Iterator[tuple[str, Pixels, Pixels]]]:
    def read() -> Iterator[tuple[str, Pixels, Pixels]]:
        brightness = read_mask_brightness(label)
        # Labels are 0 and 1, or 0 and 255 with what JPEG makes of that.
        threshold = int(brightness.max(initial=0)) // 2
        yield name, read_image(image), (brightness > threshold).astype(np.uint8)

    return read
