"""What happens at the end of batches and epochs."""

# ruff: noqa: ARG002 - Keras chooses the arguments of its callbacks.

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tiledseg.config import TrainingSettings
from tiledseg.config.experiment import Experiment
from tiledseg.data.pairing import Sample
from tiledseg.errors import TrainingError
from tiledseg.images.reading import read_image
from tiledseg.masks.classes import labels_of
from tiledseg.prediction.predictor import Mode, Predictor
from tiledseg.training.observer import EpochPicture, EpochReport, TrainingObserver
from tiledseg.training.schedule import Clock

logger = logging.getLogger(__name__)

_SEEDS = 2**31 - 2
"""Random states that every backend tells apart."""


class FiniteLoss(keras.callbacks.Callback):
    """Ends a training whose loss is no longer a number, saying what to change."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the running loss."""
        self._check((logs or {}).get("loss", 0.0), f"the loss, at batch {batch + 1},")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the validation loss: the last batch may have spoilt the network."""
        self._check((logs or {}).get("val_loss", 0.0), f"val_loss, after epoch {epoch + 1},")

    def _check(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            rate = float(self.model.optimizer.learning_rate)
            raise TrainingError(
                f"{where} is {float(loss)} with learning rate {rate:.2g}; "
                "lower training.learning_rate or training.clipnorm"
            )


class ReseededDropout(keras.callbacks.Callback):
    """Makes an epoch's dropout depend on seed and epoch alone.

    Keras does not save the state of random layers, so a resumed training would draw anew.
    In the middle of an epoch the state is saved by ``session.SavedSession``.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        super().__init__()
        self._seed = settings.seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Seed every random layer."""
        rng = np.random.default_rng([self._seed, epoch])
        for layer in random_layers(self.model):
            layer.seed_generator.state.assign(rng.integers(_SEEDS, size=2))


def random_layers(model: keras.Model) -> list[Any]:
    """The layers that draw at random, in the model's order."""
    return [layer for layer in model.layers if hasattr(layer, "seed_generator")]


class AveragedWeights(keras.callbacks.SwapEMAWeights):
    """Puts the optimizer's averaged weights into the network for validation and at epoch ends.

    Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; here with
    exponential forgetting. What other callbacks see and save at the end of an epoch is the
    average; training goes on from the weights themselves.

    Args:
        resumed: The network was loaded as it was saved, with the average in place.
    """

    def __init__(self, *, resumed: bool) -> None:
        super().__init__(swap_on_epoch=True)
        self._ema_weights_in_model = resumed


class BestEpoch(keras.callbacks.Callback):
    """Knows which epoch is the best, and stops training when none is better for long.

    Args:
        settings: Which value is watched, and the patience.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        super().__init__()
        self._monitor, self._patience = settings.monitor, settings.patience
        self._sign = -1.0 if settings.monitor.endswith("loss") else 1.0
        self._best = -math.inf
        self.epoch = 0
        """Number of the best epoch, from 1; 0 before there is one."""
        self.is_last = False
        """Whether the epoch that just ended is the best."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare this epoch with the best one."""
        value = self._sign * (logs or {})[self._monitor]
        self.is_last = value > self._best
        if self.is_last:
            self._best, self.epoch = value, epoch + 1
        elif epoch + 1 - self.epoch >= self._patience:
            logger.info("no better %s for %d epochs: stopping", self._monitor, self._patience)
            self.model.stop_training = True

    def rank(self, history: Sequence[Mapping[str, float]], count: int) -> list[int]:
        """Numbers of the best epochs of a history, best first; of equals the earlier."""
        finite = [row for row in history if math.isfinite(row[self._monitor])]
        finite.sort(key=lambda row: -self._sign * row[self._monitor])
        return [int(row["epoch"]) for row in finite[:count]]

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, as JSON."""
        return {"value": self._best, "epoch": self.epoch}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier session."""
        self._best, self.epoch = state["value"], int(state["epoch"])


class PlateauRate(keras.callbacks.Callback):
    """Lowers the learning rate when the watched value has not become better for some epochs."""

    def __init__(self, settings: TrainingSettings, best: BestEpoch) -> None:
        super().__init__()
        self._factor, self._patience = settings.reducer_factor, settings.reducer_patience
        self._best = best
        self.lowered_at = 0
        """Number of the epoch after which the rate last fell, from 1; 0 before it did."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count the epochs since the best one or the last change."""
        if epoch + 1 - max(self._best.epoch, self.lowered_at) >= self._patience:
            optimizer = self.model.optimizer
            optimizer.learning_rate = float(optimizer.learning_rate) * self._factor
            self.lowered_at = epoch + 1

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, as JSON."""
        return {"lowered_at": self.lowered_at}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier session; the rate itself is the optimizer's."""
        self.lowered_at = int(state["lowered_at"])


class EpochPictures(keras.callbacks.Callback):
    """Segments some validation images after every epoch, tiled and whole."""

    def __init__(
        self,
        experiment: Experiment,
        samples: Sequence[Sample],
        observers: Sequence[TrainingObserver],
    ) -> None:
        super().__init__()
        # One orientation: the minutes are for training, and the pictures are of the network.
        self._experiment = experiment.override({"tiling.tta": 1})
        self._observers = observers
        self._labels = len(experiment.class_names)
        shown = experiment.training.epoch_pictures if experiment.tracking.log_images else 0
        self._samples = samples[:shown]
        self._modes: tuple[Mode, ...] = ("tiled", "resized")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Predict and tell the observers."""
        predictor = Predictor(self.model, self._experiment)
        for sample in self._samples:
            depth = self._experiment.image.bit_depth
            image = read_image(sample.image, bit_depth=depth)
            for mode in self._modes:
                labels = labels_of(predictor.probability(image, mode))
                picture = EpochPicture(epoch + 1, sample.stem, mode, labels, self._labels)
                for observer in self._observers:
                    observer.on_epoch_masks(picture)


class Reports(keras.callbacks.Callback):
    """Tells observers about batches and epochs, and keeps the history."""

    def __init__(
        self,
        settings: TrainingSettings,
        clock: Clock,
        best: BestEpoch,
        observers: Sequence[TrainingObserver],
    ) -> None:
        super().__init__()
        self._settings, self._clock, self._best = settings, clock, best
        self._observers = observers
        self._epoch = 0
        self._epochs_here = 0
        self._began = clock.elapsed
        self.history: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember which epoch the batches belong to."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Pass a batch on."""
        for observer in self._observers:
            observer.on_batch_end(
                self._epoch, batch + 1, self._settings.steps_per_epoch, logs or {}
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Pass an epoch on."""
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        metrics["learning_rate"] = float(self.model.optimizer.learning_rate)
        self.history.append({"epoch": epoch + 1, **metrics})
        self._epochs_here += 1
        report = EpochReport(
            epoch=epoch + 1,
            epochs=self._settings.epochs,
            metrics=metrics,
            is_best=self._best.is_last,
            elapsed=self._clock.elapsed,
            remaining=self._remaining(epoch + 1),
        )
        for observer in self._observers:
            observer.on_epoch_end(report)

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, as JSON."""
        return {"history": self.history}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier session."""
        self.history = list(state["history"])

    def _remaining(self, epoch: int) -> float:
        pace = (self._clock.elapsed - self._began) / self._epochs_here
        return min(self._clock.remaining, pace * (self._settings.epochs - epoch))
