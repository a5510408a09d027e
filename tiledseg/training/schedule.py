"""The course of the learning rate and the end of the time budget."""

# ruff: noqa: ARG002 - Keras chooses the arguments of its callbacks.

import math
import time
from collections.abc import Mapping
from typing import Any

import keras

from tiledseg.config import TrainingSettings


class Clock:
    """Seconds spent on a training, earlier sessions included.

    Args:
        settings: Holds the budget.
        earlier: Seconds that earlier sessions took.
    """

    def __init__(self, settings: TrainingSettings, earlier: float = 0.0) -> None:
        self._began = time.monotonic() - earlier
        self._budget = 60.0 * settings.max_minutes if settings.max_minutes else math.inf

    @property
    def elapsed(self) -> float:
        """Seconds since training began."""
        return time.monotonic() - self._began

    @property
    def remaining(self) -> float:
        """Seconds left in the budget; infinite without one."""
        return max(0.0, self._budget - self.elapsed)

    @property
    def fraction(self) -> float:
        """Part of the budget that is spent, 0 to 1; 0 without a budget."""
        return min(1.0, self.elapsed / self._budget)


def cosine_rate(settings: TrainingSettings, step: int, spent: float) -> float:
    """Learning rate of a step under schedule cosine.

    Half a cosine from the full rate to a hundredth of it (Loshchilov & Hutter, "SGDR",
    2017, equation 5, without restarts), after a linear rise over ``warmup_steps``.

    Args:
        settings: Rate, warm-up and the number of steps.
        step: Steps already taken in the whole training.
        spent: Part of the time budget already spent, 0 to 1.
    """
    steps = settings.epochs * settings.steps_per_epoch
    progress = min(1.0, max(step / steps, spent))
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    decay = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress))
    return settings.learning_rate * warm * decay


class CosineRate(keras.callbacks.Callback):
    """Sets the learning rate before every step from steps taken and time spent."""

    def __init__(self, settings: TrainingSettings, clock: Clock) -> None:
        super().__init__()
        self._settings, self._clock, self._epoch = settings, clock, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember which epoch the steps belong to."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the rate of this step."""
        step = self._epoch * self._settings.steps_per_epoch + batch
        rate = cosine_rate(self._settings, step, self._clock.fraction)
        # Callback.model fetches what JAX keeps aside in training; else the rate would be lost.
        self.model.optimizer.learning_rate = rate


class TimeBudget(keras.callbacks.Callback):
    """Ends training so that the last validation still fits into the budget."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._validation_began: float | None = None
        self._validation_seconds = 0.0

    def on_test_begin(self, logs: Any = None) -> None:
        """Validation begins."""
        self._validation_began = self._clock.elapsed

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Validation, and what callbacks before this one do after an epoch, has ended."""
        if self._validation_began is not None:
            self._validation_seconds = self._clock.elapsed - self._validation_began
        if self._clock.remaining <= self._validation_seconds:
            self.model.stop_training = True

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, as JSON."""
        return {"validation_seconds": self._validation_seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier session."""
        self._validation_seconds = float(state["validation_seconds"])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop in the middle of an epoch when the rest of the budget is for validation."""
        if self._clock.remaining <= self._validation_seconds:
            self.model.stop_training = True
