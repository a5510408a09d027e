"""Datasets that are drawn instead of downloaded: a folder of smears and their masks."""

import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from tiledseg.config import SyntheticSettings
from tiledseg.config.regular_files import read_bytes
from tiledseg.data.synthetic.smear import draw_cells, draw_smear
from tiledseg.data.synthetic.smear.slide import NUCLEUS
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.atomic import give_names
from tiledseg.images.names import hidden_name
from tiledseg.images.place_lock import hold
from tiledseg.images.writing import write_image, write_labels, write_mask

__all__ = ["draw_cells", "draw_smear", "write_synthetic_dataset"]

_RECORD = "synthetic.json"


def write_synthetic_dataset(
    settings: SyntheticSettings,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw a dataset into ``folder/{train,valid,test}/{images,masks}``, unless it is there.

    Images are JPEG files of quality 95, masks PNG files of 0 and 255, or with a palette whose
    indices are the labels of ``draw_cells``; stems run through all
    splits, smear_0001, smear_0002 and so on. The folder takes its name only when it is complete,
    with the settings it was drawn with beside the splits; of two processes at once, one waits.

    Args:
        settings: Seed, size and numbers of images.
        folder: The dataset's folder; made with its parents.
        progress: Called after each image with the number drawn and the number of all.

    Raises:
        DatasetError: The folder exists, and is not this dataset or not complete.
        OutputError: The folder cannot be written.
    """
    try:
        with nullcontext() if os.path.lexists(folder) else hold(folder, waits=True):
            if os.path.lexists(folder):  # another process may have just drawn it
                _require_complete(settings, folder)
                return
            draft = folder.with_name(hidden_name(folder.name, ".partial"))
            shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
            try:
                _draw(settings, draft, progress)
                _take_name(settings, draft, folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except (OSError, OutputError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise OutputError(
            f"{folder}: the synthetic dataset cannot be written ({reason}); "
            "set TILEDSEG_DATA to a folder that can be written and has room"
        ) from None


def _places(settings: SyntheticSettings) -> list[tuple[str, str]]:
    """Split and stem of every image, in the order of drawing."""
    splits = ["train"] * settings.train + ["valid"] * settings.valid + ["test"] * settings.test
    return [(split, f"smear_{number:04d}") for number, split in enumerate(splits, start=1)]


def _image_path(folder: Path, split: str, stem: str) -> Path:
    return folder / split / "images" / f"{stem}.jpg"


def _mask_path(folder: Path, split: str, stem: str) -> Path:
    return folder / split / "masks" / f"{stem}.png"


def _image_seed(seed: int, index: int) -> int:
    """A seed for one image, unrelated to those of other images and other seeds."""
    sequence = np.random.SeedSequence(seed % 2**64, spawn_key=(index,))
    return int(sequence.generate_state(1, np.uint64)[0])


def _draw(
    settings: SyntheticSettings, folder: Path, progress: Callable[[int, int], None] | None
) -> None:
    folder.mkdir(parents=True)
    places = _places(settings)
    for index, (split, stem) in enumerate(places):
        image, labels = draw_cells(_image_seed(settings.seed, index), settings.size)
        write_image(_image_path(folder, split, stem), image)
        if settings.labels == "cells":
            write_labels(_mask_path(folder, split, stem), labels, NUCLEUS + 1)
        else:
            write_mask(_mask_path(folder, split, stem), labels == NUCLEUS)
        if progress is not None:
            progress(index + 1, len(places))
    record = settings.model_dump_json(indent=2) + "\n"
    (folder / _RECORD).write_text(record, encoding="utf-8")


def _take_name(settings: SyntheticSettings, draft: Path, folder: Path) -> None:
    """Rename the complete folder, unless somebody has put something else there meanwhile."""
    try:
        give_names([(draft, folder)])
    except OSError:
        if not os.path.lexists(folder):
            raise
        _require_complete(settings, folder)


def _require_complete(settings: SyntheticSettings, folder: Path) -> None:
    """Raise DatasetError unless the folder is the complete dataset of these settings."""
    remedy = "move it away to have it drawn, or use another dataset name or TILEDSEG_DATA"
    try:
        drawn = SyntheticSettings.model_validate_json(read_bytes(folder / _RECORD))
    except (OSError, ValidationError):
        raise DatasetError(
            f"{folder}: exists, but is not a synthetic dataset ({_RECORD} is missing or damaged); "
            f"{remedy}"
        ) from None
    if drawn != settings:
        raise DatasetError(f"{folder}: was drawn with {drawn}, not with {settings}; {remedy}")
    for split, stem in _places(settings):
        for path in (_image_path(folder, split, stem), _mask_path(folder, split, stem)):
            if not path.is_file():
                raise DatasetError(f"{folder}: is incomplete, {path} is missing; {remedy}")
