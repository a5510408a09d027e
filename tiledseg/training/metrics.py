"""What is watched while a network learns."""

from typing import Any

import keras
from keras import ops

from tiledseg.training.losses import Tensor, soft_dice

_BASE = 4096.0


@keras.saving.register_keras_serializable(package="tiledseg")
class DiceCoefficient(keras.metrics.Mean):
    """The source experiments' ``dice_coef``: soft, flattened over a batch, averaged over batches.

    It depends on the batch size; it is kept so that their tables can be compared.
    """

    def __init__(self, name: str = "dice_coef", **options: Any) -> None:
        super().__init__(name=name, **options)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add one batch of truths and probabilities, both (B, H, W, K)."""
        super().update_state(soft_dice(y_true, y_pred), sample_weight)


@keras.saving.register_keras_serializable(package="tiledseg")
class Dice(keras.metrics.Metric):
    """Dice of masks cut at 0.5, over all pixels seen since the last reset.

    Areas are summed over batches and divided once, so the value does not depend on how the
    pixels were grouped into batches. Two empty masks score 1.

    Float32 counts no further than 2**24, the pixels of one crop of 4096 x 4096. Areas are
    therefore kept as digits to the base 4096, which stay exact up to 68 gigapixels.
    """

    def __init__(self, name: str = "dice", **options: Any) -> None:
        super().__init__(name=name, **options)
        # Rows: intersection, truth, guess. Columns: 4096s, ones.
        self.areas = self.add_weight(shape=(3, 2), name="areas", initializer="zeros")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add one batch of truths in {0, 1} and probabilities, both (B, H, W, K)."""
        del sample_weight  # every pixel counts once
        truth = ops.cast(y_true, "float32")
        guess = ops.cast(ops.cast(y_pred, "float32") >= 0.5, "float32")
        within = tuple(range(1, len(truth.shape)))
        per_image = [ops.sum(mask, axis=within) for mask in (truth * guess, truth, guess)]
        added = ops.sum(_digits(ops.stack(per_image)), axis=1) + self.areas
        carried = _digits(added[:, 1])
        self.areas.assign(ops.stack([added[:, 0] + carried[:, 0], carried[:, 1]], axis=1))

    def result(self) -> Tensor:
        """Dice in [0, 1], a float32 scalar."""
        intersection, truth, guess = ops.unstack(_BASE * self.areas[:, 0] + self.areas[:, 1])
        both = truth + guess
        return ops.where(both > 0, 2.0 * intersection / ops.maximum(both, 1.0), 1.0)


def _digits(counts: Tensor) -> Tensor:
    """Whole numbers (...) as their two digits (..., 2) to the base 4096."""
    high = ops.floor(counts / _BASE)
    return ops.stack([high, counts - _BASE * high], axis=-1)
