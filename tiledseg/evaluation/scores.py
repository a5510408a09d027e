"""Whole-image scores, tiled beside non-tiled."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.config.experiment import Experiment
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError
from tiledseg.images.label_files import read_label_map
from tiledseg.images.reading import read_image
from tiledseg.masks.classes import IGNORED, Labels, labels_of
from tiledseg.prediction.predictor import Mode, Predictor
from tiledseg.tiling.geometry.grid import Grid
from tiledseg.tiling.seams import (
    count_flipped_labels,
    max_difference,
    seam_gradient_against_single_pass,
    seam_gradient_ratio,
)

COMPARED_MODES: tuple[Mode, ...] = ("tiled", "resized")
SCORES = ("dice", "iou", "precision", "recall", "accuracy")


@dataclass(frozen=True)
class ImageEvaluation:
    """One image, its target, and what each mode made of it."""

    split: str
    sample: Sample
    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    target: Labels
    """(H, W), uint8."""
    probabilities: Mapping[str, NDArray[np.float32]]
    """Mode to (H, W, K)."""
    scores: Mapping[str, Mapping[str, float]]
    """Mode to score name to value; ``seconds_per_megapixel`` included, and ``dice/NAME`` and so on
    of each class where there are several."""
    seams: Mapping[str, float]
    """gradient_ratio; where measured also gradient_against_single_pass, max_difference and
    flipped_labels."""
    grid: Grid | None = None
    """The tiles of mode ``tiled``."""
    classes: Sequence[str] = ("background", "foreground")
    """Names of the labels from 0."""

    @property
    def rows(self) -> list[dict[str, str | float]]:
        """One row per mode, for a table."""
        height, width = self.target.shape
        place: dict[str, str | float] = {
            "split": self.split,
            "image": self.sample.stem,
            "height": height,
            "width": width,
        }
        return [{**place, "mode": mode, **scores} for mode, scores in self.scores.items()]


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


def evaluate_images(
    predictor: Predictor, samples: Sequence[Sample], split: str, experiment: Experiment
) -> Iterator[ImageEvaluation]:
    """Evaluate images one by one, so that only one is in memory at a time.

    Args:
        predictor: The network.
        samples: Images with their targets.
        split: Name of the split, for the rows.
        experiment: Says how masks are read and on how many images seams are measured.

    Raises:
        DatasetError: The network knows another number of classes than the masks.
    """
    classes = experiment.class_names
    known = max(2, int(predictor.model.output_shape[-1]))
    if known != len(classes):
        raise DatasetError(
            f"the masks of {experiment.dataset.name} hold {len(classes)} labels "
            f"({', '.join(classes)}), but the network knows {known}; choose a model that was "
            "trained on these classes, or mend dataset.classes"
        )
    left_for_seams = experiment.evaluation.seam_images
    for sample in samples:
        image = read_image(sample.image)
        target = read_label_map(sample.mask, experiment.dataset.foreground_threshold)
        megapixels = target.size / 1e6
        probabilities: dict[str, NDArray[np.float32]] = {}
        scores: dict[str, dict[str, float]] = {}
        for mode in COMPARED_MODES:
            began = time.perf_counter()
            probabilities[mode] = predictor.probability(image, mode)
            seconds = time.perf_counter() - began
            scores[mode] = {
                **label_scores(target, labels_of(probabilities[mode]), classes),
                "seconds_per_megapixel": seconds / megapixels,
            }
        grid = predictor.grid(*target.shape)
        seams = {"gradient_ratio": seam_gradient_ratio(probabilities["tiled"], grid)}
        may_pass = megapixels <= experiment.evaluation.seam_megapixels and predictor.is_exact
        if left_for_seams and may_pass:
            left_for_seams -= 1
            full = predictor.probability(image, "single_pass")
            seams["gradient_against_single_pass"] = seam_gradient_against_single_pass(
                probabilities["tiled"], full, grid
            )
            seams["max_difference"] = max_difference(probabilities["tiled"], full)
            seams["flipped_labels"] = float(count_flipped_labels(probabilities["tiled"], full))
        yield ImageEvaluation(
            split, sample, image, target, probabilities, scores, seams, grid, classes
        )


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


def summarize_seams(split: str, seams: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Seam figures of a split: mean gradients, largest difference, flipped labels."""
    ratios = [item["gradient_ratio"] for item in seams]
    measured = [item for item in seams if "max_difference" in item]
    metrics = {f"{split}/seam/gradient_ratio": float(np.mean(ratios))}
    if measured:
        against = [item["gradient_against_single_pass"] for item in measured]
        metrics[f"{split}/seam/gradient_against_single_pass"] = float(np.mean(against))
        metrics[f"{split}/seam/max_difference"] = max(item["max_difference"] for item in measured)
        metrics[f"{split}/seam/flipped_labels"] = sum(item["flipped_labels"] for item in measured)
    return metrics
