"""The cut between background and foreground, moved to where it does best on validation images.

A network trained on crops rich in objects, with a loss that weighs objects up, is too ready to
see them. One number mends that: the logits are shifted, so that everywhere a probability of 0.5
is the cut that was found.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiledseg.data.dataset import Sample
from tiledseg.data.images import read_image
from tiledseg.data.label_files import read_label_map
from tiledseg.errors import TrainingError
from tiledseg.evaluation import mask_scores
from tiledseg.labels import IGNORED, Labels
from tiledseg.objects import cleaned
from tiledseg.prediction import Predictor

SHIFTS = np.arange(-2.0, 3.01, 0.25)
"""Logits that are tried as the cut."""
CUTS = 1.0 / (1.0 + np.exp(-SHIFTS))
"""The same as probabilities."""
_LAYER = "logits"


def calibrate(predictor: Predictor, samples: Sequence[Sample]) -> float:
    """Shift a network's logits so that the mean Dice of tiled masks is best.

    Args:
        predictor: Its network is changed in place: the bias of layer ``logits``.
        samples: Validation images with their truths.

    Returns:
        The probability that was the best cut before; 0.5 where nothing was to be gained.

    Raises:
        TrainingError: The network has several classes, or no layer ``logits`` with a bias.
    """
    if predictor.model.output_shape[-1] != 1:
        raise TrainingError(
            f"model {predictor.model.name!r} has several classes, and no one cut between them; "
            "set training.calibrate to false"
        )
    layer = _logits(predictor.model)
    experiment = predictor.experiment
    # Which objects are too small depends on the cut, so they are dropped at each one anew.
    tiling = experiment.tiling.model_copy(update={"smallest_object": 0})
    all_sizes = Predictor(predictor.model, experiment.model_copy(update={"tiling": tiling}))
    dice = [
        _dice_by_shift(
            all_sizes.probability(read_image(sample.image))[..., 0],
            read_label_map(sample.mask, experiment.dataset.cut),
            experiment.tiling.smallest_object,
        )
        for sample in samples
    ]
    best = _best(np.mean(dice, axis=0))
    layer.bias.assign(layer.bias - SHIFTS[best])
    return float(CUTS[best])


def _logits(model: Any) -> Any:
    for layer in model.layers:
        if layer.name == _LAYER and getattr(layer, "bias", None) is not None:
            return layer
    raise TrainingError(
        f"model {model.name!r} has no layer {_LAYER!r} with a bias to shift; "
        "set training.calibrate to false"
    )


def _dice_by_shift(
    probability: NDArray[np.float32], truth: Labels, smallest: int
) -> NDArray[np.float64]:
    """Dice of the mask at each of ``CUTS``; 1 where truth and mask are both empty."""
    known, objects = truth != IGNORED, truth == 1
    masks = (cleaned(probability >= cut, smallest=smallest) for cut in CUTS)
    return np.array([mask_scores(objects, mask & known)["dice"] for mask in masks])


def _best(dice: NDArray[np.float64]) -> int:
    """Which cut is best; of equals that next to 0.5, and 0.5 for less than a thousandth."""
    unmoved = int(np.flatnonzero(SHIFTS == 0.0)[0])
    if dice.max() - dice[unmoved] < 1e-3:
        return unmoved
    best = np.flatnonzero(dice >= dice.max())
    return int(best[np.abs(SHIFTS[best]).argmin()])
