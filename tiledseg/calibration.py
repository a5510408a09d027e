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
from tiledseg.data.images import read_image, read_mask
from tiledseg.errors import TrainingError
from tiledseg.prediction import Predictor

SHIFTS = np.arange(-2.0, 3.01, 0.25)
"""Logits that are tried as the cut."""
_LAYER = "logits"


def calibrate(predictor: Predictor, samples: Sequence[Sample]) -> float:
    """Shift a network's logits so that the mean Dice of tiled masks is best.

    Args:
        predictor: Its network is changed in place: the bias of layer ``logits``.
        samples: Validation images with their truths.

    Returns:
        The probability that was the best cut before; 0.5 where nothing was to be gained.

    Raises:
        TrainingError: The network has no layer ``logits`` with a bias.
    """
    layer = _logits(predictor.model)
    threshold = predictor.experiment.dataset.mask_threshold
    dice = [
        _dice_by_shift(
            predictor.probability(read_image(sample.image))[..., 0],
            read_mask(sample.mask, threshold),
        )
        for sample in samples
    ]
    shift = _best(np.mean(dice, axis=0))
    layer.bias.assign(layer.bias - shift)
    return float(1.0 / (1.0 + np.exp(-shift)))


def _logits(model: Any) -> Any:
    for layer in model.layers:
        if layer.name == _LAYER and getattr(layer, "bias", None) is not None:
            return layer
    raise TrainingError(
        f"model {model.name!r} has no layer {_LAYER!r} with a bias to shift; "
        "set training.calibrate to false"
    )


def _dice_by_shift(
    probability: NDArray[np.float32], truth: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Dice of the mask cut at each of ``SHIFTS``; 1 where truth and mask are both empty."""
    cuts = 1.0 / (1.0 + np.exp(-SHIFTS))
    # How many cuts a pixel reaches.
    passed: NDArray[np.int64] = np.searchsorted(cuts, probability.ravel(), side="right")
    found = _counts_from(passed, len(cuts))
    right = _counts_from(passed[truth.ravel()], len(cuts))
    areas = found + np.count_nonzero(truth)
    dice = np.divide(2.0 * right, areas, out=np.ones(len(cuts)), where=areas > 0)
    return np.asarray(dice, np.float64)


def _counts_from(passed: NDArray[np.int64], cuts: int) -> NDArray[np.int64]:
    """Number of pixels that reach each cut."""
    reached = np.bincount(passed, minlength=cuts + 1)
    return np.asarray(reached[::-1].cumsum()[::-1][1:], np.int64)


def _best(dice: NDArray[np.float64]) -> float:
    """The shift of the best Dice; of equals the least, and none for less than a thousandth."""
    if dice.max() - dice[SHIFTS == 0.0][0] < 1e-3:
        return 0.0
    best = SHIFTS[dice >= dice.max()]
    return float(best[np.abs(best).argmin()])
