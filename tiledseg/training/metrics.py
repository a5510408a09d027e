"""What is watched while a network learns."""

from typing import Any

import keras
from keras import ops

from tiledseg.training.losses import Tensor, soft_dice


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
    """

    def __init__(self, name: str = "dice", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.intersection = self.add_weight(name="intersection", initializer="zeros")
        self.areas = self.add_weight(name="areas", initializer="zeros")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Add one batch of truths in {0, 1} and probabilities, both (B, H, W, K)."""
        del sample_weight  # every pixel counts once
        truth = ops.cast(y_true, "float32")
        guess = ops.cast(ops.cast(y_pred, "float32") >= 0.5, "float32")
        self.intersection.assign_add(ops.sum(truth * guess))
        self.areas.assign_add(ops.sum(truth) + ops.sum(guess))

    def result(self) -> Tensor:
        """Dice in [0, 1], a float32 scalar."""
        return ops.where(
            self.areas > 0, 2.0 * self.intersection / ops.maximum(self.areas, 1.0), 1.0
        )
