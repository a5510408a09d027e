"""SegPC-2021: fields of bone marrow, and one BMP per plasma cell.

TCIA_SegPC_dataset/train/x/106.bmp
TCIA_SegPC_dataset/train/y/106_1.bmp      nucleus 40, cytoplasm 20
TCIA_SegPC_dataset/validation/{x,y}/      and test/x, whose masks are not published
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from tiledseg.data.prepare.windows import Window
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
from tiledseg.images.reading import read_as_stored, read_image

EXPECTED = "train/x/106.bmp beside train/y/106_1.bmp, 106_2.bmp and so on, one file per cell"
NUCLEUS, CYTOPLASM = 40, 20
_SIDE, _MARGIN = 256, 10
"""Single cells: the field is reduced to 256 x 256, and shown 10 pixels around the cell."""
_GROUND = (208, 196, 210)
"""The rest of it: the color of an empty field, as red, green and blue."""

Cells = tuple[Path, ...]


def find_fields(folder: Path) -> list[PublishedImage]:
    """Whole fields, each with the mask of all its cells, nucleus and cytoplasm.

    The authors' validation fields, the only others with masks, are the test split; validation
    fields are drawn from their training fields.

    Args:
        folder: Unpacked; ``x`` and ``y`` may lie deeper.

    Raises:
        DatasetError: The folder is of another form, or an image has no mask.
    """
    return [
        PublishedImage(image.stem, image.stem, split, _field_reader(image, cells))
        for split, image, cells in _find(folder)
    ]


def find_cells(folder: Path) -> list[PublishedImage]:
    """Single cells on a plain ground, FIELD_CELL, cut from fields of 256 x 256.

    Args:
        folder: As for ``find_fields``; a field's cells stay in its split.

    Raises:
        DatasetError: As for ``find_fields``.
    """
    return [
        PublishedImage(image.stem, image.stem, split, _cell_reader(image, cells))
        for split, image, cells in _find(folder)
    ]


def read_cell(path: Path) -> Pixels:
    """A cell's mask, nucleus and cytoplasm, as 0 and 1.

    Returns:
        (H, W), uint8.

    Raises:
        DatasetError: It holds other values than 0, 20 and 40.
        ImageError: It cannot be read.
    """
    pixels = read_as_stored(path)
    values = pixels if pixels.ndim == 2 else pixels[..., :3].max(axis=-1)
    strange = np.setdiff1d(values, (0, CYTOPLASM, NUCLEUS))
    if strange.size:
        raise DatasetError(
            f"{path}: holds the value {strange[0]}; expected nucleus {NUCLEUS}, cytoplasm "
            f"{CYTOPLASM} and 0"
        )
    return np.asarray(values != 0, np.uint8)


def _find(folder: Path) -> list[tuple[str, Path, Cells]]:
    homes = list(folders_with(folder, "x", "y")) if folder.is_dir() else []
    found: list[tuple[str, Path, Cells]] = []
    for home in homes:
        cells: dict[str, Cells] = {}
        for path in pictures_in(subfolder(home, "y")):
            field = path.stem.rpartition("_")[0]
            cells[field] = (*cells.get(field, ()), path)
        images = pictures_in(subfolder(home, "x"))
        lonely = [path.name for path in images if path.stem not in cells]
        if lonely:
            raise incomplete_error(home, lonely, "fields without a cell's file", EXPECTED)
        split = "test" if "valid" in home.name.casefold() else ""
        found += [(split, path, cells[path.stem]) for path in images]
    if not found:
        raise format_error(folder, EXPECTED)
    return found


def _field_reader(
    image: Path, cells: Sequence[Path]
) -> Callable[[], Iterator[tuple[str, Pixels, Pixels]]]:
    def read() -> Iterator[tuple[str, Pixels, Pixels]]:
        pixels = read_image(image)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        for path in cells:
            mask |= _require_same_size(read_cell(path), mask, path, image)
        yield image.stem, pixels, mask

    return read


def _cell_reader(
    image: Path, cells: Sequence[Path]
) -> Callable[[], Iterator[tuple[str, Pixels, Pixels]]]:
    def read() -> Iterator[tuple[str, Pixels, Pixels]]:
        whole = read_image(image)
        small = cv2.resize(whole, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        for path in cells:
            cell = _require_same_size(read_cell(path), whole[..., 0], path, image)
            mask = cv2.resize(cell, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST_EXACT)
            if mask.any():
                yield path.stem, _isolate_cell(small, mask), np.asarray(mask)

    return read


def _isolate_cell(field: Pixels, mask: Pixels) -> Pixels:
    """The field around one cell, and plain ground elsewhere."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = max(0, int(rows[0]) - _MARGIN), max(0, int(columns[0]) - _MARGIN)
    height, width = int(rows[-1]) + 1 + _MARGIN - top, int(columns[-1]) + 1 + _MARGIN - left
    window = Window(top, left, height, width)
    shown = np.full_like(field, _GROUND)
    shown[window.slices] = field[window.slices]
    return shown


def _require_same_size(mask: Pixels, image: Pixels, path: Path, owner: Path) -> Pixels:
    if mask.shape != image.shape[:2]:
        raise DatasetError(
            f"{path}: is {mask.shape[1]} x {mask.shape[0]} pixels, but {owner} is "
            f"{image.shape[1]} x {image.shape[0]}; unpack the archive again"
        )
    return mask
