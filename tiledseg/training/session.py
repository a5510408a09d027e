"""The state of a training on disk, from which another session goes on.

A session may end anywhere: a kill loses what was trained since the last save, a request to stop
loses nothing. Saves are made after every epoch, and within one every few minutes.
"""

# ruff: noqa: ARG002 - Keras chooses the arguments of its callbacks.

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from pydantic import BaseModel, NonNegativeFloat, NonNegativeInt

from tiledseg.config import TrackingSettings, TrainingSettings
from tiledseg.config.regular_files import read_json
from tiledseg.errors import OutputError, StoppedError, TrainingError
from tiledseg.images.atomic import give_names
from tiledseg.prediction.model_file import read_network
from tiledseg.training.callbacks import BestEpoch, Reports, random_layers
from tiledseg.training.schedule import Clock
from tiledseg.training.stopping import StopRequest

STATE_FILE = "state.json"
_DRAFT, _STATE_DRAFT = "draft.keras", "next-state.json"
_STOPPED = "the training was asked to stop; its state is saved"


class _State(BaseModel):
    """What ``state.json`` holds."""

    epoch: NonNegativeInt
    batch: NonNegativeInt = 0
    elapsed: NonNegativeFloat
    stopped: bool
    parts: dict[str, dict[str, Any] | None]
    within: dict[str, list[Any]] | None = None


class Part(Protocol):
    """A callback with a state of its own."""

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier session."""
        ...


@dataclass(frozen=True)
class SavedTraining:
    """A state that is being saved: its files are whole.

    Attributes:
        epoch: Epochs that are complete.
        batch: Batches of the next epoch that are trained as well.
        network: File of the network with its optimizer.
        state: File of all else.
        best: Numbers of the best epochs, best first, whose networks are kept.
        metrics: Of the epoch that is complete; empty within an epoch.
        save_predictor: Writes the network as it is now, ready to be used, into a folder.
    """

    epoch: int
    batch: int
    network: Path
    state: Path
    best: Sequence[int]
    metrics: Mapping[str, float]
    save_predictor: Callable[[Path], None]


class SavedSession(keras.callbacks.Callback):
    """Saves what another session needs to go on.

    Network and optimizer go into ``epochN.keras`` (``epochN-stepM.keras`` within an epoch), the
    rest into ``state.json``, which is replaced atomically and last: whenever the program is
    killed, or the power goes, it names complete files. Those of the last save and of the best
    epochs are kept.

    Args:
        folder: Where; made for this training alone.
        training: Settings; an epoch's length.
        tracking: How many networks are kept, and how often one is saved within an epoch.
        clock: Tells the time spent.
        best: Tells the best epoch.
        reports: Holds the history.
        parts: Callbacks whose state is saved, by name; ``best`` and ``reports`` are among them.
        start: Epochs, and batches of the next one, that an earlier session has trained.
        stop: Set by whoever wants the training to stop at the end of the step.
        save_predictor: Writes a network, ready to be used, into a folder.
        on_saved: Told about every save, before another session goes on from it: what it logs of
            an epoch is there whenever that epoch is not trained again.
    """

    def __init__(
        self,
        folder: Path,
        training: TrainingSettings,
        tracking: TrackingSettings,
        *,
        clock: Clock,
        best: BestEpoch,
        reports: Reports,
        parts: Mapping[str, Part],
        start: tuple[int, int] = (0, 0),
        stop: StopRequest | None = None,
        save_predictor: Callable[[keras.Model, Path], None] = lambda *_: None,
        on_saved: Callable[[SavedTraining], object] = lambda _: None,
    ) -> None:
        super().__init__()
        self._save_predictor = save_predictor
        self._folder, self._training, self._tracking = folder, training, tracking
        self._clock, self._best, self._reports, self._parts = clock, best, reports, parts
        self._start = start
        self._stop, self._on_saved = stop or StopRequest(), on_saved
        self._epoch, self._saved_at = 0, time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember which epoch the batches belong to."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Save within an epoch when it is time, or somebody wants the training to stop.

        Raises:
            StoppedError: It was asked to stop, and the state is saved.
        """
        if batch + 1 >= self._training.steps_per_epoch:
            return  # the epoch's own save follows
        if (self._epoch, batch) < self._start:  # skipped by ``ResumedEpoch``: it is saved
            if self._stop.is_set():
                raise StoppedError(_STOPPED)
            return
        age = time.monotonic() - self._saved_at
        if self._stop.is_set() or age > 60.0 * self._tracking.checkpoint_minutes:
            self._save(self._epoch, batch + 1)
        if self._stop.is_set():
            raise StoppedError(_STOPPED)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save after an epoch.

        Raises:
            StoppedError: It was asked to stop, and the state is saved.
        """
        self._save(epoch + 1, 0)
        if self._stop.is_set() and not self.model.stop_training:
            raise StoppedError(_STOPPED)

    def _save(self, epoch: int, batch: int) -> None:
        """Write the state, then forget the networks that are not needed any more."""
        path = epoch_file(self._folder, epoch, batch)
        draft = self._folder / _DRAFT
        try:
            self.model.save(draft)
            give_names([(draft, path)])
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _cannot_save(path, error) from error
        state = {
            "epoch": epoch,
            "batch": batch,
            "elapsed": self._clock.elapsed,
            "stopped": bool(self.model.stop_training),
            "parts": {name: part.state() for name, part in self._parts.items()},
            "within": _read_running_state(self.model) if batch else None,
        }
        draft = self._folder / _STATE_DRAFT
        try:
            draft.write_text(json.dumps(state), encoding="utf-8")
        except OSError as error:
            raise _cannot_save(draft, error) from error
        best = self._best.rank(self._reports.history, self._tracking.checkpoints)
        metrics = {} if batch else self._reports.history[-1]
        model = self.model

        def save_predictor(folder: Path) -> None:
            self._save_predictor(model, folder)

        self._on_saved(SavedTraining(epoch, batch, path, draft, best, metrics, save_predictor))
        try:
            give_names([(draft, self._folder / STATE_FILE)])
        except OSError as error:
            raise _cannot_save(draft, error) from error
        kept = {path, *(epoch_file(self._folder, number) for number in best)}
        for other in set(self._folder.glob("epoch*.keras")) - kept:
            other.unlink(missing_ok=True)
        self._saved_at = time.monotonic()


class ResumedEpoch(keras.callbacks.Callback):
    """Has an epoch go on where an earlier session left it.

    Keras begins every epoch with its first batch: batches that are trained already are taken from
    the stream, which leaves them empty, and not trained again. Then the running metrics and the
    random layers get the state that was saved.

    Args:
        epoch: Which epoch, from 0.
        batches: How many are trained already.
        within: What ``state.json`` holds of the middle of an epoch.
    """

    def __init__(self, epoch: int, batches: int, within: Mapping[str, Any]) -> None:
        super().__init__()
        self._epoch, self._batches, self._within = epoch, batches, within
        self._is_here = self._has_metrics = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Put a pass over the batches to skip before the step."""
        self._is_here = epoch == self._epoch
        if not self._is_here:
            return
        step, left = self.model.train_function, self._batches

        def skip_or_train(*arguments: Any) -> Any:
            nonlocal left
            *state, batches = arguments  # JAX passes its state on
            if left:
                left -= 1
                next(batches)
                return ({}, *state) if state else {}
            self.model.train_function = step
            answer = step(*arguments)
            if not self._has_metrics:
                self._add_metrics()
            return answer

        self.model.train_function = skip_or_train

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Bring the running state back before the first batch that is trained."""
        if not self._is_here or batch != self._batches:
            return
        for layer, value in zip(random_layers(self.model), self._within["random"], strict=True):
            state = layer.seed_generator.state
            state.assign(np.asarray(value, state.dtype))
        saved = self._within["metrics"]
        own = [metric.variables for metric in self.model.metrics]
        # TensorFlow makes the variables of metrics in the first step: see ``_add_metrics``.
        self._has_metrics = [len(each) for each in own] == [len(each) for each in saved]
        if self._has_metrics:
            self._add_metrics()

    def _add_metrics(self) -> None:
        """Add what was counted before; all that metrics keep are sums."""
        for metric, values in zip(self.model.metrics, self._within["metrics"], strict=True):
            for variable, value in zip(metric.variables, values, strict=True):
                variable.assign(variable + np.asarray(value, variable.dtype))


def read_session(folder: Path) -> dict[str, Any]:
    """What ``SavedSession`` wrote.

    Raises:
        TrainingError: There is nothing, or it cannot be read.
    """
    path = folder / STATE_FILE
    try:
        return _State.model_validate(read_json(path)).model_dump()
    except FileNotFoundError:
        raise TrainingError(
            f"nothing to resume: {path} does not exist; start a new training without --resume"
        ) from None
    except (OSError, ValueError) as error:
        raise describe_unreadable(path, error) from error


def load_network(path: Path, *, to_train: bool) -> keras.Model:
    """A network that was saved, with its optimizer if it is ``to_train``.

    Raises:
        TrainingError: It cannot be read.
    """
    try:
        return read_network(path, to_train=to_train)
    except (OSError, ValueError) as error:
        raise describe_unreadable(path, error) from error


def _cannot_save(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}: a checkpoint cannot be written ({error}); make room, or point TILEDSEG_STATE to "
        "a folder that can be written"
    )


def describe_unreadable(path: Path, error: Exception) -> TrainingError:
    """The error for a state that cannot be read."""
    reason = " ".join(str(error).split())[:300]
    return TrainingError(
        f"{path}: the saved state cannot be read ({reason}); start a new training without --resume"
    )


def epoch_file(folder: Path, epoch: int, batch: int = 0) -> Path:
    """Where network and optimizer are kept as they were after an epoch, or within the next."""
    return folder / (f"epoch{epoch}-step{batch}.keras" if batch else f"epoch{epoch}.keras")


def _read_running_state(model: keras.Model) -> dict[str, Any]:
    """Metrics and random layers in the middle of an epoch, as JSON."""
    return {
        "metrics": [
            [np.asarray(variable).tolist() for variable in metric.variables]
            for metric in model.metrics
        ],
        "random": [
            np.asarray(layer.seed_generator.state).tolist() for layer in random_layers(model)
        ],
    }
