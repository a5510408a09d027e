"""Scores of a mask against its target, and their means over images.

With one class, an image without objects whose mask is empty scores 1. With several, most images
lack most classes, and such ones would make a class look found that never was: there, a class that
an image has neither in target nor in prediction has no score in it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.masks.classes import IGNORED, Labels

SCORES = ("dice", "iou", "precision", "recall", "accuracy")
OF_CLASSES = SCORES[:-1]
"""Scores that each of several classes has on its own."""


@dataclass(frozen=True)
class Figure:
    """A figure of a split, and how many images it is taken from."""

    split: str
    part: str
    """A mode, or ``seam``."""
    name: str
    """For example ``dice``, or ``dice/nucleus`` of one class."""
    value: float | None
    """None where no image has one."""
    images: int
    """Images that have one; of a mean over classes, those that have one of any class."""


def mask_scores(target: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, float]:
    """Scores of one mask against the target, both bool of equal shape.

    Empty target met by an empty prediction scores 1 throughout.

    Raises:
        ValueError: The shapes differ.
    """
    if target.shape != predicted.shape:
        raise ValueError(f"target is {target.shape}, prediction is {predicted.shape}")
    both = int(np.count_nonzero(target & predicted))
    true, positive = int(np.count_nonzero(target)), int(np.count_nonzero(predicted))
    wrong = true + positive - 2 * both
    of_nothing = {"dice": 1.0, "iou": 1.0, "precision": float(true == 0), "recall": 1.0}
    return {
        **{
            name: of_nothing[name] if math.isnan(value) else value
            for name, value in area_scores(both, true, positive).items()
        },
        "accuracy": 1.0 - wrong / target.size if target.size else 1.0,
    }


def label_scores(target: Labels, predicted: Labels, classes: Sequence[str]) -> dict[str, float]:
    """Scores of one label map against the target; pixels whose target is not known do not count.

    Args:
        target: (H, W), uint8, with ``IGNORED`` where it is not known.
        predicted: (H, W), uint8.
        classes: Names of the labels from 0, the background; two are one class.

    Returns:
        ``SCORES``. Of several classes they are means over all but the background that have the
        score, save accuracy, the share of pixels with the right label; beside them stand those
        of each class as ``dice/NAME``, as ``area_scores`` counts them. NaN where there is none.

    Raises:
        ValueError: The shapes differ.
    """
    if target.shape != predicted.shape:
        raise ValueError(f"target is {target.shape}, prediction is {predicted.shape}")
    known = target != IGNORED
    if not known.all():
        target, predicted = target[known], predicted[known]
    if len(classes) == 2:
        return mask_scores(target == 1, predicted == 1)
    pairs = target.astype(np.intp) * len(classes) + predicted
    table = np.bincount(pairs.ravel(), minlength=len(classes) ** 2)
    table = table.reshape(len(classes), len(classes))
    of_class = [
        area_scores(int(table[label, label]), int(table[label].sum()), int(table[:, label].sum()))
        for label in range(len(classes))
    ]
    means = {
        score: _mean_defined([scores[score] for scores in of_class[1:]]) for score in OF_CLASSES
    }
    named = {
        f"{score}/{name}": value
        for name, scores in zip(classes, of_class, strict=True)
        for score, value in scores.items()
    }
    return {**means, "accuracy": _divide(int(np.trace(table)), int(table.sum())), **named}


def area_scores(both: int, true: int, predicted: int) -> dict[str, float]:
    """Dice, IoU, precision and recall of one class in one image.

    Args:
        both: Pixels of the class in target and prediction.
        true: Pixels of the class in the target.
        predicted: Pixels of the class in the prediction.

    Returns:
        NaN for what is not defined: Dice and IoU where there are no such pixels at all,
        precision where none are predicted, recall where none are in the target.
    """
    return {
        "dice": _divide(2 * both, true + predicted),
        "iou": _divide(both, true + predicted - both),
        "precision": _divide(both, predicted),
        "recall": _divide(both, true),
    }


def summarize_scores(table: pd.DataFrame, classes: Sequence[str]) -> list[Figure]:
    """Scores of each split and mode, averaged over images.

    Args:
        table: One row per image and mode, as ``ImageEvaluation.rows`` gives them.
        classes: Names of the labels from 0, the background; two are one class.

    Returns:
        ``SCORES``; of several classes also those of each, over the images that have the score,
        and ``SCORES`` are their means over all classes but the background which any image has.
        Of the seconds per megapixel the median, which the compilation at the first image of a
        size does not disturb.
    """
    figures: list[Figure] = []
    for (split, mode), rows in table.groupby(["split", "mode"], sort=False):
        figures += _summarize_mode(str(split), str(mode), rows, classes)
    return figures


def _summarize_mode(
    split: str, mode: str, rows: pd.DataFrame, classes: Sequence[str]
) -> Iterator[Figure]:
    named = classes if len(classes) > 2 else ()
    of_classes = {
        score: [_average(split, mode, f"{score}/{name}", rows) for name in named]
        for score in OF_CLASSES
    }
    for score in SCORES:
        figure = _average(split, mode, score, rows)
        if of_classes.get(score):
            # Not the mean of the images' means: there, a class in few images counts for little.
            values = [each.value for each in of_classes[score][1:] if each.value is not None]
            mean = sum(values) / len(values) if values else None
            figure = Figure(split, mode, score, mean, figure.images)
        yield figure
    for figures in of_classes.values():
        yield from figures
    seconds = rows["seconds_per_megapixel"]
    yield Figure(split, mode, "seconds_per_megapixel", float(seconds.median()), len(seconds))


def _average(split: str, mode: str, name: str, rows: pd.DataFrame) -> Figure:
    """The mean of a column over the images that have a value."""
    values = rows[name].astype(float).dropna()
    mean = float(values.mean()) if len(values) else None
    return Figure(split, mode, name, mean, len(values))


def _mean_defined(values: Sequence[float]) -> float:
    """The mean of those that are numbers; NaN where none is."""
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _divide(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
