"""The threshold of a network of one class, chosen on validation images.

A network trained on crops rich in objects, with a loss that weighs objects up, finds too many of
them at a threshold of 0.5. The threshold is part of a predictor; the weights stay as they are.
"""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tiledseg.config.tiling import TilingSettings
from tiledseg.data.pairing import Sample
from tiledseg.errors import TrainingError
from tiledseg.evaluation.scores import mask_scores
from tiledseg.images.label_files import read_label_map
from tiledseg.images.reading import read_image
from tiledseg.masks.classes import IGNORED, Labels
from tiledseg.masks.cleaning import clean
from tiledseg.prediction.predictor import Predictor

LOGITS = np.arange(-2.0, 3.01, 0.25)
THRESHOLDS = 1.0 / (1.0 + np.exp(-LOGITS))
"""Probabilities that are tried, evenly spaced as logits."""
_HALF = int(np.flatnonzero(LOGITS == 0.0)[0])

logger = logging.getLogger(__name__)


def tune_threshold(predictor: Predictor, samples: Sequence[Sample]) -> float:
    """The threshold at which the mean Dice of tiled masks is best.

    Args:
        predictor: The network; its own threshold does not matter.
        samples: Validation images with their targets.

    Returns:
        The best of ``THRESHOLDS``; 0.5 where another gains less than a thousandth.

    Raises:
        TrainingError: The network has several classes.
    """
    if predictor.model.output_shape[-1] != 1:
        raise TrainingError(
            f"model {predictor.model.name!r} has several classes, which no threshold parts; "
            "set training.tune_threshold to false"
        )
    experiment = predictor.experiment
    # Which objects and holes are small depends on the threshold: masks are cleaned at each one.
    uncleaned = experiment.override({"tiling.min_object_area": 0, "tiling.max_hole_area": 0})
    dice = _mean_dice(
        predictor.replace(experiment=uncleaned, threshold=0.5), samples, experiment.tiling
    )
    best = _best(dice)
    logger.info(
        "the threshold is %.3f: Dice on validation images %.4f, at 0.5 %.4f",
        THRESHOLDS[best],
        dice[best],
        dice[_HALF],
    )
    return float(THRESHOLDS[best])


def _mean_dice(
    predictor: Predictor, samples: Sequence[Sample], tiling: TilingSettings
) -> NDArray[np.float64]:
    """Dice at each threshold, averaged over images; one pass over them."""
    above = predictor.experiment.dataset.foreground_threshold
    dice = [
        _dice_by_threshold(
            predictor.probability(
                read_image(sample.image, bit_depth=predictor.experiment.image.bit_depth)
            )[..., 0],
            read_label_map(sample.mask, above),
            tiling,
        )
        for sample in samples
    ]
    return np.asarray(np.mean(dice, axis=0))


def _dice_by_threshold(
    probability: NDArray[np.float32], target: Labels, tiling: TilingSettings
) -> NDArray[np.float64]:
    """Dice of the mask at each threshold; 1 where target and mask are both empty."""
    known, objects = target != IGNORED, target == 1
    smallest, holes = tiling.min_object_area, tiling.max_hole_area
    masks = (clean(probability >= each, smallest=smallest, holes=holes) for each in THRESHOLDS)
    return np.array([mask_scores(objects, mask & known)["dice"] for mask in masks])


def _best(dice: NDArray[np.float64]) -> int:
    """Which threshold is best; of equals that next to 0.5, and 0.5 for less than a thousandth."""
    if dice.max() - dice[_HALF] < 1e-3:
        return _HALF
    best = np.flatnonzero(dice >= dice.max())
    return int(best[np.abs(LOGITS[best]).argmin()])
