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
    probability: NDArray[np.float32], truth: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Dice of the mask at each of ``CUTS``; 1 where truth and mask are both empty."""
    # How many cuts a pixel reaches.
    passed: NDArray[np.int64] = np.searchsorted(CUTS, probability.ravel(), side="right")
    found = _counts_from(passed)
    right = _counts_from(passed[truth.ravel()])
    areas = found + np.count_nonzero(truth)
    dice = np.divide(2.0 * right, areas, out=np.ones(len(CUTS)), where=areas > 0)
    return np.asarray(dice, np.float64)


def _counts_from(passed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of pixels that reach each cut."""
    reached = np.bincount(passed, minlength=len(CUTS) + 1)
    return np.asarray(reached[::-1].cumsum()[::-1][1:], np.int64)


def _best(dice: NDArray[np.float64]) -> int:
    """Which cut is best; of equals that next to 0.5, and 0.5 for less than a thousandth."""
    unmoved = int(np.flatnonzero(SHIFTS == 0.0)[0])
    if dice.max() - dice[unmoved] < 1e-3:
        return unmoved
    best = np.flatnonzero(dice >= dice.max())
    return int(best[np.abs(SHIFTS[best]).argmin()])
