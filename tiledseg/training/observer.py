"""What a training tells the world while it runs.

The screen and the MLflow run both listen; training itself knows neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tiledseg.training.session import SavedTraining


@dataclass(frozen=True)
class EpochReport:
    """An epoch that ended."""

    epoch: int
    """Number of the epoch, from 1."""
    epochs: int
    """Most epochs that the training may take."""
    metrics: Mapping[str, float]
    """loss, val_loss, dice_coef, val_dice_coef, dice, val_dice, learning_rate and what else is
    watched; NaN where one is not defined."""
    is_best: bool
    """Whether its weights are the best so far."""
    elapsed: float
    """Seconds since training began, earlier sessions included."""
    remaining: float
    """Seconds that are left at most, as far as can be told."""


@dataclass(frozen=True)
class EpochPicture:
    """A validation image as the network sees it after an epoch."""

    epoch: int
    stem: str
    mode: str
    mask: NDArray[np.uint8]
    """(H, W), labels."""
    labels: int = 2
    """How many there are, background included."""


class TrainingObserver(Protocol):
    """Listens to a training."""

    def on_batch_end(
        self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]
    ) -> None:
        """A batch was learnt; epoch and batch count from 1."""

    def on_epoch_end(self, report: EpochReport) -> None:
        """An epoch ended, validation included."""

    def on_saved(self, saved: "SavedTraining") -> None:
        """The state was saved, after an epoch or within one."""

    def on_epoch_masks(self, picture: EpochPicture) -> None:
        """A validation image was segmented after an epoch."""
