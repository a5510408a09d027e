"""The cut between background and foreground, moved to where it does best on validation images.

A network trained on crops rich in objects, with a loss that weighs objects up, is too ready to
see them. One number mends that: the logits are shifted, so that a probability of 0.5 is the cut
that was found. Where probabilities are means (of blended windows, or of several orientations),
the mean of shifted ones is not the shifted mean, and 0.5 is near the cut only; so the shifted
network is scored before the shift is kept.
"""

import logging
from collections.abc import Sequence
from typing import Any

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

SHIFTS = np.arange(-2.0, 3.01, 0.25)
"""Logits that are tried as the cut."""
CUTS = 1.0 / (1.0 + np.exp(-SHIFTS))
"""The same as probabilities."""
_UNMOVED = int(np.flatnonzero(SHIFTS == 0.0)[0])
_LAYER = "logits"

logger = logging.getLogger(__name__)


def tune_threshold(predictor: Predictor, samples: Sequence[Sample]) -> float:
    """Shift a network's logits so that the mean Dice of tiled masks is best.

    A shift is undone if the network scores less with it than without.

    Args:
        predictor: Its network is changed in place: the bias of layer ``logits``.
        samples: Validation images with their targets.

    Returns:
        The probability that was the best cut before; 0.5 where nothing was gained.

    Raises:
        TrainingError: The network has several classes, or no layer ``logits`` with a bias.
    """
    if predictor.model.output_shape[-1] != 1:
        raise TrainingError(
            f"model {predictor.model.name!r} has several classes, and no one cut between them; "
            "set training.tune_threshold to false"
        )
    layer = _logits(predictor.model)
    experiment = predictor.experiment
    # Which objects and holes are small depends on the cut, so masks are cleaned at each one anew.
    uncleaned = {"tiling.min_object_area": 0, "tiling.max_hole_area": 0}
    all_sizes = Predictor(predictor.model, experiment.override(uncleaned))
    tiling = experiment.tiling
    dice = _mean_dice(all_sizes, samples, CUTS, tiling)
    best = _best(dice)
    if best == _UNMOVED:
        return 0.5
    bias = np.array(layer.bias)
    layer.bias.assign(bias - SHIFTS[best])
    (shifted,) = _mean_dice(all_sizes, samples, CUTS[[_UNMOVED]], tiling)
    scores = f"Dice on validation images {dice[_UNMOVED]:.4f} before, {shifted:.4f} after"
    if shifted < dice[_UNMOVED]:
        layer.bias.assign(bias)
        logger.info("the cut stays at 0.5: moved to %.3f, %s", CUTS[best], scores)
        return 0.5
    logger.info("the cut is moved to %.3f: %s", CUTS[best], scores)
    return float(CUTS[best])


def _logits(model: Any) -> Any:
    for layer in model.layers:
        if layer.name == _LAYER and getattr(layer, "bias", None) is not None:
            return layer
    raise TrainingError(
        f"model {model.name!r} has no layer {_LAYER!r} with a bias to shift; "
        "set training.tune_threshold to false"
    )


def _mean_dice(
    predictor: Predictor,
    samples: Sequence[Sample],
    cuts: NDArray[np.float64],
    tiling: TilingSettings,
) -> NDArray[np.float64]:
    """Dice at each cut, averaged over images; one pass over them."""
    cut_masks = predictor.experiment.dataset.foreground_threshold
    dice = [
        _dice_by_threshold(
            predictor.probability(read_image(sample.image))[..., 0],
            read_label_map(sample.mask, cut_masks),
            cuts,
            tiling,
        )
        for sample in samples
    ]
    return np.asarray(np.mean(dice, axis=0))


def _dice_by_threshold(
    probability: NDArray[np.float32],
    target: Labels,
    cuts: NDArray[np.float64],
    tiling: TilingSettings,
) -> NDArray[np.float64]:
    """Dice of the mask at each cut; 1 where target and mask are both empty."""
    known, objects = target != IGNORED, target == 1
    smallest, holes = tiling.min_object_area, tiling.max_hole_area
    masks = (clean(probability >= cut, smallest=smallest, holes=holes) for cut in cuts)
    return np.array([mask_scores(objects, mask & known)["dice"] for mask in masks])


def _best(dice: NDArray[np.float64]) -> int:
    """Which cut is best; of equals that next to 0.5, and 0.5 for less than a thousandth."""
    if dice.max() - dice[_UNMOVED] < 1e-3:
        return _UNMOVED
    best = np.flatnonzero(dice >= dice.max())
    return int(best[np.abs(SHIFTS[best]).argmin()])
