"""Whole images evaluated: tiled beside non-tiled, with the seams of the tiles."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from tiledseg.config.experiment import Experiment
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError
from tiledseg.evaluation.scores import Figure, label_scores
from tiledseg.images.label_files import read_label_map
from tiledseg.images.reading import read_image
from tiledseg.masks.classes import Labels, labels_of
from tiledseg.prediction.predictor import Mode, Predictor
from tiledseg.tiling.geometry.grid import Grid
from tiledseg.tiling.seams import (
    count_flipped_labels,
    max_difference,
    seam_gradient_against_single_pass,
    seam_gradient_ratio,
)

COMPARED_MODES: tuple[Mode, ...] = ("tiled", "resized")
_SEAM_SUMMARIES: Mapping[str, Callable[[list[float]], float]] = {
    "gradient_ratio": fmean,
    "gradient_against_single_pass": fmean,
    "max_difference": max,
    "flipped_labels": sum,
}


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
    of each class where there are several. NaN where a score is not defined."""
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
    _check_classes(predictor, experiment)
    left_for_seams = experiment.evaluation.seam_images
    for sample in samples:
        image = read_image(sample.image, bit_depth=predictor.experiment.image.bit_depth)
        target = read_label_map(sample.mask, experiment.dataset.foreground_threshold)
        probabilities: dict[str, NDArray[np.float32]] = {}
        scores: dict[str, dict[str, float]] = {}
        for mode in COMPARED_MODES:
            began = time.perf_counter()
            probabilities[mode] = predictor.probability(image, mode)
            seconds = time.perf_counter() - began
            scores[mode] = {
                **label_scores(target, labels_of(probabilities[mode]), classes),
                "seconds_per_megapixel": seconds / (target.size / 1e6),
            }
        grid = predictor.grid(*target.shape)
        seams = {"gradient_ratio": seam_gradient_ratio(probabilities["tiled"], grid)}
        fits = target.size <= experiment.evaluation.seam_megapixels * 1e6
        if left_for_seams and fits and predictor.is_exact:
            left_for_seams -= 1
            seams |= _compare_with_single_pass(predictor, image, probabilities["tiled"], grid)
        yield ImageEvaluation(
            split, sample, image, target, probabilities, scores, seams, grid, classes
        )


def summarize_seams(split: str, seams: Sequence[Mapping[str, float]]) -> list[Figure]:
    """Seam figures of a split: mean gradients, largest difference, flipped labels in all."""
    figures = []
    for name, summarize in _SEAM_SUMMARIES.items():
        values = [item[name] for item in seams if name in item]
        value = float(summarize(values)) if values else None
        figures.append(Figure(split, "seam", name, value, len(values)))
    return figures


def _check_classes(predictor: Predictor, experiment: Experiment) -> None:
    classes = experiment.class_names
    known = max(2, int(predictor.model.output_shape[-1]))
    if known != len(classes):
        raise DatasetError(
            f"the masks of {experiment.dataset.name} hold {len(classes)} labels "
            f"({', '.join(classes)}), but the network knows {known}; choose a model that was "
            "trained on these classes, or mend dataset.classes"
        )


def _compare_with_single_pass(
    predictor: Predictor, image: NDArray[np.uint8], tiled: NDArray[np.float32], grid: Grid
) -> dict[str, float]:
    """What tiles change of one pass over the whole image."""
    full = predictor.probability(image, "single_pass")
    return {
        "gradient_against_single_pass": seam_gradient_against_single_pass(tiled, full, grid),
        "max_difference": max_difference(tiled, full),
        "flipped_labels": float(count_flipped_labels(tiled, full)),
    }
