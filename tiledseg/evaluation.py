"""Whole-image scores, tiled beside non-tiled."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiledseg.data.dataset import Sample
from tiledseg.data.images import read_image, read_mask
from tiledseg.experiment import Experiment
from tiledseg.prediction import Mode, Predictor, to_mask
from tiledseg.tiling.grid import Grid
from tiledseg.tiling.seams import flipped_labels, max_difference, seam_gradient_ratio

COMPARED_MODES: tuple[Mode, ...] = ("tiled", "whole")
SCORES = ("dice", "iou", "precision", "recall", "accuracy")


@dataclass(frozen=True)
class ImageEvaluation:
    """One image, its truth, and what each mode made of it."""

    split: str
    sample: Sample
    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    truth: NDArray[np.bool_]
    """(H, W)."""
    probabilities: Mapping[str, NDArray[np.float32]]
    """Mode to (H, W, K)."""
    scores: Mapping[str, Mapping[str, float]]
    """Mode to score name to value; ``seconds_per_megapixel`` included."""
    seams: Mapping[str, float]
    """gradient_ratio, and max_difference and flipped_labels where measured."""
    grid: Grid | None = None
    """The tiles of mode ``tiled``."""

    @property
    def rows(self) -> list[dict[str, str | float]]:
        """One row per mode, for a table."""
        height, width = self.truth.shape
        place: dict[str, str | float] = {
            "split": self.split,
            "image": self.sample.stem,
            "height": height,
            "width": width,
        }
        return [{**place, "mode": mode, **scores} for mode, scores in self.scores.items()]


def mask_scores(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, float]:
    """Scores of one mask against the truth, both bool of equal shape.

    Empty truth met by an empty prediction scores 1 throughout.

    Raises:
        ValueError: The shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape}, prediction is {predicted.shape}")
    both = int(np.count_nonzero(truth & predicted))
    true, guessed = int(np.count_nonzero(truth)), int(np.count_nonzero(predicted))
    union = true + guessed - both
    return {
        "dice": 2 * both / (true + guessed) if union else 1.0,
        "iou": both / union if union else 1.0,
        "precision": both / guessed if guessed else float(true == 0),
        "recall": both / true if true else 1.0,
        "accuracy": 1.0 - (union - both) / truth.size,
    }


def evaluate_images(
    predictor: Predictor, samples: Sequence[Sample], split: str, experiment: Experiment
) -> Iterator[ImageEvaluation]:
    """Evaluate images one by one, so that only one is in memory at a time.

    Args:
        predictor: The network.
        samples: Images with their truths.
        split: Name of the split, for the rows.
        experiment: Says how masks are read and on how many images seams are measured.
    """
    left_for_seams = experiment.evaluation.seam_images
    for sample in samples:
        image = read_image(sample.image)
        truth = read_mask(sample.mask, experiment.dataset.mask_threshold)
        megapixels = truth.size / 1e6
        probabilities: dict[str, NDArray[np.float32]] = {}
        scores: dict[str, dict[str, float]] = {}
        for mode in COMPARED_MODES:
            began = time.perf_counter()
            probabilities[mode] = predictor.probability(image, mode)
            seconds = time.perf_counter() - began
            scores[mode] = {
                **mask_scores(truth, to_mask(probabilities[mode])),
                "seconds_per_megapixel": seconds / megapixels,
            }
        grid = predictor.grid(*truth.shape)
        seams = {"gradient_ratio": seam_gradient_ratio(probabilities["tiled"], grid)}
        may_pass = megapixels <= experiment.evaluation.seam_megapixels and predictor.is_exact
        if left_for_seams and may_pass:
            left_for_seams -= 1
            full = predictor.probability(image, "full")
            seams["max_difference"] = max_difference(probabilities["tiled"], full)
            seams["flipped_labels"] = float(flipped_labels(probabilities["tiled"], full))
        yield ImageEvaluation(split, sample, image, truth, probabilities, scores, seams, grid)


def summarise_scores(table: pd.DataFrame) -> dict[str, float]:
    """Final scores by the names of a run's contract, for example ``test/tiled/dice``.

    Args:
        table: One row per image and mode, as ``ImageEvaluation.rows`` gives them.

    Returns:
        Scores averaged over images; of the seconds per megapixel the median, which the
        compilation at the first image of a size does not disturb.
    """
    metrics = {}
    for (split, mode), rows in table.groupby(["split", "mode"], sort=False):
        for name in SCORES:
            metrics[f"{split}/{mode}/{name}"] = float(rows[name].mean())
        seconds = float(rows["seconds_per_megapixel"].median())
        metrics[f"{split}/{mode}/seconds_per_megapixel"] = seconds
    return metrics


def summarise_seams(split: str, seams: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Seam figures of a split: mean gradient ratio, largest difference, flipped labels."""
    ratios = [item["gradient_ratio"] for item in seams]
    measured = [item for item in seams if "max_difference" in item]
    metrics = {f"{split}/seam/gradient_ratio": float(np.mean(ratios))}
    if measured:
        metrics[f"{split}/seam/max_difference"] = max(item["max_difference"] for item in measured)
        metrics[f"{split}/seam/flipped_labels"] = sum(item["flipped_labels"] for item in measured)
    return metrics
