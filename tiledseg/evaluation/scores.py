"""Scores of a mask against its target, and their means over images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.masks.classes import IGNORED, Labels

SCORES = ("dice", "iou", "precision", "recall", "accuracy")


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
    return {
        **area_scores(both, true, positive),
        "accuracy": 1.0 - wrong / target.size if target.size else 1.0,
    }


def label_scores(target: Labels, predicted: Labels, classes: Sequence[str]) -> dict[str, float]:
    """Scores of one label map against the target; pixels whose target is not known do not count.

    Args:
        target: (H, W), uint8, with ``IGNORED`` where it is not known.
        predicted: (H, W), uint8.
        classes: Names of the labels from 0, the background; two are one class.

    Returns:
        ``SCORES``. Of several classes they are means over all but the background, save accuracy,
        the share of pixels with the right label; beside them stand those of each class as
        ``dice/NAME``. A class that neither map has scores 1.

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
        name: float(np.mean([scores[name] for scores in of_class[1:]])) for name in of_class[0]
    }
    accuracy = float(np.trace(table) / table.sum()) if table.sum() else 1.0
    named = {
        f"{score}/{name}": value
        for name, scores in zip(classes, of_class, strict=True)
        for score, value in scores.items()
    }
    return {**means, "accuracy": accuracy, **named}


def area_scores(both: int, true: int, predicted: int) -> dict[str, float]:
    """Dice, IoU, precision and recall of one class.

    Args:
        both: Pixels of the class in target and prediction.
        true: Pixels of the class in the target.
        predicted: Pixels of the class in the prediction.
    """
    union = true + predicted - both
    return {
        "dice": 2 * both / (true + predicted) if union else 1.0,
        "iou": both / union if union else 1.0,
        "precision": both / predicted if predicted else float(true == 0),
        "recall": both / true if true else 1.0,
    }


def summarize_scores(table: pd.DataFrame) -> dict[str, float]:
    """Final scores by the names of a run's contract, for example ``test/tiled/dice``.

    Args:
        table: One row per image and mode, as ``ImageEvaluation.rows`` gives them.

    Returns:
        Scores averaged over images; of the seconds per megapixel the median, which the
        compilation at the first image of a size does not disturb.
    """
    metrics = {}
    for (split, mode), rows in table.groupby(["split", "mode"], sort=False):
        of_classes = [name for name in rows.columns if name.partition("/")[0] in SCORES[:-1]]
        for name in dict.fromkeys([*SCORES, *of_classes]):
            metrics[f"{split}/{mode}/{name}"] = float(rows[name].mean())
        seconds = float(rows["seconds_per_megapixel"].median())
        metrics[f"{split}/{mode}/seconds_per_megapixel"] = seconds
    return metrics
