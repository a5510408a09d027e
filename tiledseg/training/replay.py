"""The learning rate of every step: recorded, and replayed by a training that repeats another.

A clock that ends a training also lowers its rates, so settings and seed alone do not say what was
trained. How many steps there were, and the rate of each, do.
"""

# ruff: noqa: ARG002 - Keras chooses the arguments of its callbacks.

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import keras

from tiledseg.errors import TrackingError

_COLUMNS = ("epoch", "step", "learning_rate")


class RateRecord(keras.callbacks.Callback):
    """Keeps the learning rate of every step; stands behind what sets it.

    Args:
        is_steady: The rate is the same in all steps of an epoch, and need not be read in each.
    """

    def __init__(self, *, is_steady: bool) -> None:
        super().__init__()
        self._is_steady, self._steady_rate = is_steady, 0.0
        self.rates: list[list[float]] = []
        """Epoch by epoch, step by step."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin an epoch, or go on within one."""
        if len(self.rates) == epoch:
            self.rates.append([])
        self._steady_rate = self._read()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keep the rate of the step, unless an earlier session has trained it."""
        if batch == len(self.rates[-1]):
            self.rates[-1].append(self._steady_rate if self._is_steady else self._read())

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, as JSON."""
        return {"rates": self.rates}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier session."""
        self.rates = [list(epoch) for epoch in state["rates"]]

    def _read(self) -> float:
        return float(self.model.optimizer.learning_rate)


class ReplayedRate(keras.callbacks.Callback):
    """Trains the steps that were recorded, with their rates, and ends the training with them.

    Early stopping has no say: the repetition is to be as long as what it repeats.

    Args:
        rates: Of every step, epoch by epoch; all epochs but the last are complete.
    """

    def __init__(self, rates: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self._all, self._epoch = rates, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember which epoch the steps belong to."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the rate of this step."""
        self.model.optimizer.learning_rate = self._all[self._epoch][batch]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """End the training within the last epoch, where a clock had."""
        if self._epoch + 1 == len(self._all) and batch + 1 == len(self._all[-1]):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """End the training after the last epoch, and only then."""
        self.model.stop_training = epoch + 1 >= len(self._all)


def tabulate_rates(rates: Sequence[Sequence[float]]) -> str:
    """Rates as CSV, one row per step; epochs and steps count from 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for epoch, steps in enumerate(rates, 1):
        writer.writerows((epoch, step, rate) for step, rate in enumerate(steps, 1))
    return text.getvalue()


def parse_rates(text: str, place: str) -> list[list[float]]:
    """Rates from the CSV that ``tabulate_rates`` made.

    Args:
        text: The CSV.
        place: Where it is from, for the error.

    Raises:
        TrackingError: It is not that CSV, or holds no step.
    """
    try:
        rows = list(csv.reader(io.StringIO(text)))[1:]
        rates = [
            [float(rate) for *_, rate in steps] for _, steps in groupby(rows, key=itemgetter(0))
        ]
    except (ValueError, IndexError):
        rates = []
    if not rates or tabulate_rates(rates) != text.replace("\r\n", "\n"):
        raise TrackingError(
            f"{place}: its file of learning rates is not as it was written, one row per step; "
            "it was changed after the run"
        )
    return rates
