"""A network of one weight that trains in milliseconds, for callbacks."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest

from tiledseg.config import TrainingSettings
from tiledseg.training.observer import EpochPicture, EpochReport


class PowerCutError(Exception):
    """A training ends without a word."""


class Listener:
    """Remembers what it is told; may pull the plug when an epoch ends, before it is saved."""

    def __init__(self, interrupt_in: int | None = None) -> None:
        self.interrupt_in = interrupt_in
        self.batches: list[tuple[int, int, int, Mapping[str, float]]] = []
        self.reports: list[EpochReport] = []
        self.pictures: list[EpochPicture] = []

    def on_batch_end(
        self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]
    ) -> None:
        self.batches.append((epoch, batch, batches, metrics))

    def on_epoch_end(self, report: EpochReport) -> None:
        self.reports.append(report)
        if report.epoch == self.interrupt_in:
            raise PowerCutError

    def on_epoch_masks(self, picture: EpochPicture) -> None:
        self.pictures.append(picture)


@pytest.fixture(scope="session")
def listen() -> type[Listener]:
    return Listener


@pytest.fixture(scope="session")
def power_cut() -> type[PowerCutError]:
    return PowerCutError


class _Numbers(keras.utils.PyDataset):
    """Batches of ones whose target is three."""

    def __init__(self, batches: int) -> None:
        super().__init__(workers=0)
        self._batches = batches

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.ones((1, 1), np.float32), np.full((1, 1), 3.0, np.float32)


class _Recorder(keras.callbacks.Callback):
    """Remembers rates and weights."""

    def __init__(self) -> None:
        super().__init__()
        self.step_rates: list[float] = []
        self.epoch_rates: list[float] = []
        self.weights: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step_rates.append(float(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch_rates.append(float(self.model.optimizer.learning_rate))
        self.weights.append(float(self.model.get_weights()[0].item()))


@pytest.fixture
def network() -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


@pytest.fixture
def train(network: keras.Model) -> Callable[..., _Recorder]:
    """Fit the network as settings say, with callbacks; rates and weights come back.

    ``validation`` is the number of validation batches after each epoch.
    """

    def fit(
        settings: TrainingSettings,
        *callbacks: keras.callbacks.Callback,
        validation: int = 0,
        first_epoch: int = 0,
    ) -> _Recorder:
        network.optimizer.learning_rate = settings.learning_rate
        recorder = _Recorder()
        network.fit(
            _Numbers(settings.steps_per_epoch),
            validation_data=_Numbers(validation) if validation else None,
            epochs=settings.epochs,
            initial_epoch=first_epoch,
            callbacks=[*callbacks, recorder],
            shuffle=False,
            verbose=0,
        )
        return recorder

    return fit
