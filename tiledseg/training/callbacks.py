"""What happens at the end of batches and epochs."""

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from tiledseg.data.dataset import Sample
from tiledseg.data.images import read_image
from tiledseg.errors import TrainingError
from tiledseg.experiment import Experiment
from tiledseg.prediction import Mode, Predictor
from tiledseg.settings import TrainingSettings
from tiledseg.training.observer import EpochPicture, EpochReport, TrainingObserver
from tiledseg.training.schedule import Clock

logger = logging.getLogger(__name__)


class FiniteLoss(keras.callbacks.Callback):
    """Ends a training whose loss is no longer a number, saying what to change."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the running loss."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            rate = float(self.model.optimizer.learning_rate)
            raise TrainingError(
                f"the loss became {loss} at batch {batch + 1} with learning rate {rate:.2g}; "
                "lower training.learning_rate, or clip gradients with training.clipnorm"
            )


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch in a file and stops when none is better for long.

    Args:
        settings: Which value is watched, and the patience.
        path: File of the best weights, ending in ``.weights.h5``; replaced whenever an epoch
            is better.
    """

    def __init__(self, settings: TrainingSettings, path: Path) -> None:
        super().__init__()
        self._monitor, self._patience, self._path = settings.monitor, settings.patience, path
        self._sign = -1.0 if settings.monitor.endswith("loss") else 1.0
        self.best = -math.inf
        self.best_epoch = 0
        self.is_best = False

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare this epoch with the best one."""
        value = self._sign * (logs or {})[self._monitor]
        self.is_best = value > self.best
        if self.is_best:
            self.best, self.best_epoch = value, epoch + 1
            temporary = self._path.with_name(f"new.{self._path.name}")
            self.model.save_weights(temporary)
            temporary.replace(self._path)
        elif epoch + 1 - self.best_epoch >= self._patience:
            logger.info("no better %s for %d epochs: stopping", self._monitor, self._patience)
            self.model.stop_training = True

    def state(self) -> dict[str, float]:
        """What ``restore`` needs."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from an earlier sitting."""
        self.best, self.best_epoch = state["best"], int(state["best_epoch"])


class PlateauRate(keras.callbacks.Callback):
    """Lowers the learning rate when the watched value has not become better for some epochs."""

    def __init__(self, settings: TrainingSettings, best: BestWeights) -> None:
        super().__init__()
        self._factor, self._patience = settings.reducer_factor, settings.reducer_patience
        self._best = best
        self.lowered_at = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count the epochs since the best one or the last change."""
        if epoch + 1 - max(self._best.best_epoch, self.lowered_at) >= self._patience:
            optimizer = self.model.optimizer
            optimizer.learning_rate = float(optimizer.learning_rate) * self._factor
            self.lowered_at = epoch + 1


class EpochPictures(keras.callbacks.Callback):
    """Segments some validation images after every epoch, tiled and whole."""

    def __init__(
        self,
        experiment: Experiment,
        samples: Sequence[Sample],
        observers: Sequence[TrainingObserver],
    ) -> None:
        super().__init__()
        self._experiment, self._observers = experiment, observers
        self._samples = samples[: experiment.training.epoch_pictures]
        self._modes: tuple[Mode, ...] = ("tiled", "whole")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Predict and tell the observers."""
        predictor = Predictor(self.model, self._experiment)
        for sample in self._samples:
            image = read_image(sample.image)
            for mode in self._modes:
                picture = EpochPicture(epoch + 1, sample.stem, mode, predictor.mask(image, mode))
                for observer in self._observers:
                    observer.masks_predicted(picture)


class Reports(keras.callbacks.Callback):
    """Tells observers about batches and epochs, and keeps the history."""

    def __init__(
        self,
        settings: TrainingSettings,
        clock: Clock,
        best: BestWeights,
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
            observer.batch_ended(self._epoch, batch + 1, self._settings.steps_per_epoch, logs or {})

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
            is_best=self._best.is_best,
            elapsed=self._clock.elapsed,
            remaining=self._remaining(epoch + 1),
        )
        for observer in self._observers:
            observer.epoch_ended(report)

    def _remaining(self, epoch: int) -> float:
        pace = (self._clock.elapsed - self._began) / self._epochs_here
        return min(self._clock.remaining, pace * (self._settings.epochs - epoch))


class SavedState(keras.callbacks.Callback):
    """Saves after every epoch what another sitting needs to go on.

    Network and optimizer go into ``last.keras``, the rest into ``state.json``; both are
    replaced atomically, the small file last, so a kill leaves the state of a whole epoch.
    """

    def __init__(
        self, folder: Path, clock: Clock, best: BestWeights, plateau: PlateauRate, reports: Reports
    ) -> None:
        super().__init__()
        self._folder, self._clock = folder, clock
        self._best, self._plateau, self._reports = best, plateau, reports

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the state of this epoch beside the last one, then forget the last one."""
        name = f"epoch{epoch + 1}.keras"
        self.model.save(self._folder / name)
        state = {
            "epoch": epoch + 1,
            "file": name,
            "elapsed": self._clock.elapsed,
            "stopped": bool(self.model.stop_training),
            "best": self._best.state(),
            "lowered_at": self._plateau.lowered_at,
            "history": self._reports.history,
        }
        temporary = self._folder / "state.json.new"
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.replace(self._folder / "state.json")
        (self._folder / f"epoch{epoch}.keras").unlink(missing_ok=True)
