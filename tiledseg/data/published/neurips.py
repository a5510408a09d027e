"""NeurIPS 2022 Cell Segmentation: images, and labels of instances as TIFFs of 16 bits.

Training-labeled/images/cell_00001.png
Training-labeled/labels/cell_00001_label.tiff
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tiledseg.data.published.format import (
    Pixels,
    PublishedImage,
    folders_with,
    format_error,
    incomplete_error,
    pictures_in,
    subfolder,
)
from tiledseg.errors import DatasetError
from tiledseg.images.content import IMAGE_SUFFIXES
from tiledseg.images.reading import read_as_stored, read_image

EXPECTED = "images/cell_00001.png beside labels/cell_00001_label.tiff, as in Training-labeled.zip"


def find_smears(folder: Path) -> list[PublishedImage]:
    """The stained smears among the training images: those that are published as PNG.

    Args:
        folder: Unpacked; ``images`` and ``labels`` may lie deeper.

    Raises:
        DatasetError: The folder is of another form, or an image has no labels.
    """
    home = next(folders_with(folder, "images", "labels"), None) if folder.is_dir() else None
    if home is None:
        raise format_error(folder, EXPECTED)
    images = [
        path for path in pictures_in(subfolder(home, "images")) if path.suffix.lower() == ".png"
    ]
    labels = {path.stem: path for path in pictures_in(subfolder(home, "labels"))}
    if not images:
        raise format_error(subfolder(home, "images"), EXPECTED)
    lonely = [path.name for path in images if f"{path.stem}_label" not in labels]
    if lonely:
        raise incomplete_error(home, lonely, "images without labels", EXPECTED)
    return [
        PublishedImage(path.stem, path.stem, "", _reader(path, labels[f"{path.stem}_label"]))
        for path in images
    ]


def _reader(image: Path, label: Path) -> Callable[[], Iterator[tuple[str, Pixels, Pixels]]]:
    def read() -> Iterator[tuple[str, Pixels, Pixels]]:
        yield image.stem, read_image(image), labels_as_mask(label)

    return read


def labels_as_mask(path: Path) -> Pixels:
    """Labels of instances, of any number of bits, as 0 and 1.

    Raises:
        DatasetError: The file holds colors.
        ImageError: It cannot be read.
    """
    labels = read_as_stored(path)
    if labels.ndim != 2:
        raise DatasetError(
            f"{path}: holds {labels.shape[2]} channels; expected labels of instances, one number "
            f"a pixel ({', '.join(IMAGE_SUFFIXES)})"
        )
    return np.asarray(labels != 0, np.uint8)
