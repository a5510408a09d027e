"""Augmented training samples with their masks, as one picture."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.backend import load_backend
from tiledseg.checking.finding import Report
from tiledseg.checking.inventory import take_inventory
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.mask_encoding import encode_mask
from tiledseg.data.pairing import Sample
from tiledseg.data.preprocessing import to_rgb
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.writing import write_image
from tiledseg.masks.classes import Labels, foreground, paint
from tiledseg.masks.drawing import GREEN

SAMPLES, COLUMNS = 12, 4
_SIDE, _GAP = 240, 6


def require_new_png(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that is no PNG or is taken.

    Raises:
        OutputError: It is.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: a preview is a PNG; use the suffix .png")
    if path.is_dir() or (path.exists() and not overwrite):
        raise OutputError(f"{path}: exists; name another file, or give --overwrite")


def write_preview(report: Report, experiment: Experiment, path: Path) -> None:
    """Write training samples as the network gets them, each beside its mask.

    They come from the sampler of training: the same crops, the same augmentation.

    Args:
        report: Of a check of the dataset; unreadable images are left out.
        experiment: Size, color space, augmentation, seed.
        path: The PNG.

    Raises:
        DatasetError: No training image can be read.
        OutputError: The file or the cache cannot be written.
    """
    read = {facts.image for facts in report.images}
    inventory = take_inventory(report.folder, experiment.dataset)
    samples = [
        encode_mask(sample, experiment.dataset)
        for sample in inventory.splits.get("train", ())
        if sample.image in read
    ]
    if not samples:
        raise DatasetError(
            f"{report.folder}: no training image can be read; mend what tiledseg check finds first"
        )
    write_image(path, preview_sheet(samples, experiment, PixelCache()), lasting=True)


def preview_sheet(
    samples: Sequence[Sample], experiment: Experiment, cache: PixelCache
) -> NDArray[np.uint8]:
    """Twelve training samples, each with its mask's outline and beside its mask or classes.

    Args:
        samples: At least one.
        experiment: Size, color space, augmentation, seed.
        cache: Where decoded pixels are kept.

    Returns:
        (H, W, 3), uint8, RGB.
    """
    load_backend()
    from tiledseg.data.sampling.sampler import TileSampler  # noqa: PLC0415  # loads Keras

    sampler = TileSampler(samples, experiment, cache, workers=0)
    classes = len(experiment.class_names)
    panels: list[NDArray[np.uint8]] = []
    step = 0
    while len(panels) < SAMPLES:
        images, masks = sampler[step][:2]
        for image, mask in zip(images, masks, strict=True):
            shown = _in_rgb(np.asarray(image), experiment.image.color_space)
            panels.append(_panel(shown, np.asarray(mask[..., 0], np.uint8), classes))
        step += 1
    rows = [
        np.concatenate(panels[start : start + COLUMNS], axis=1)
        for start in range(0, SAMPLES, COLUMNS)
    ]
    return np.concatenate(rows, axis=0)


def _in_rgb(image: NDArray[np.uint8], color_space: str) -> NDArray[np.uint8]:
    shown = to_rgb(image, color_space)
    return np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown


def _panel(image: NDArray[np.uint8], labels: Labels, classes: int) -> NDArray[np.uint8]:
    size = (_SIDE, _SIDE)
    shrinks = image.shape[0] > _SIDE
    smooth = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    shown = np.array(cv2.resize(image, size, interpolation=smooth))
    marked = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    objects = foreground(marked).view(np.uint8)
    outlines, _ = cv2.findContours(objects, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, outlines, -1, GREEN, 2)
    white = np.repeat(objects[..., np.newaxis] * np.uint8(255), 3, axis=2)
    plain = paint(marked, classes) if classes > 2 else white
    panel = np.full((_SIDE + 2 * _GAP, 2 * _SIDE + 3 * _GAP, 3), 128, np.uint8)
    panel[_GAP:-_GAP, _GAP : _GAP + _SIDE] = shown
    panel[_GAP:-_GAP, -_GAP - _SIDE : -_GAP] = plain
    return panel
