"""Teaching a network: from an experiment and a dataset to the best weights."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset
from tiledseg.data.sampling import TileSampler, ValidationTiles
from tiledseg.errors import TrainingError
from tiledseg.experiment import Experiment
from tiledseg.models import build_model
from tiledseg.settings import TrainingSettings
from tiledseg.training.callbacks import (
    BestWeights,
    EpochPictures,
    FiniteLoss,
    PlateauRate,
    Reports,
    SavedState,
)
from tiledseg.training.losses import LOSSES
from tiledseg.training.metrics import Dice, DiceCoefficient
from tiledseg.training.observer import TrainingObserver
from tiledseg.training.schedule import Clock, CosineRate, TimeBudget

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """What came out of a training."""

    model: keras.Model
    """The network with the weights of the best epoch, in float32."""
    history: pd.DataFrame
    """One row per epoch: epoch, loss, val_loss, dice_coef, ..., learning_rate."""
    best_epoch: int
    """Number of the best epoch, from 1."""
    seconds: float
    """Wall time, earlier sittings included."""


def fit(
    experiment: Experiment,
    dataset: Dataset,
    cache: PixelCache,
    folder: Path,
    observers: Sequence[TrainingObserver] = (),
    *,
    resume: bool = False,
) -> Training:
    """Train a network as an experiment says.

    Args:
        experiment: All settings.
        dataset: Its train and valid splits are used.
        cache: Decoded images.
        folder: Where checkpoints and the state for another sitting are kept.
        observers: Told about batches, epochs and epoch-change masks.
        resume: Go on from the state in ``folder``.

    Raises:
        TrainingError: The loss is not a number any more, or there is nothing to resume.
    """
    settings = experiment.training
    state = _read_state(folder) if resume else None
    keras.utils.set_random_seed(settings.seed)
    model = _restored_model(folder, state) if state else compiled_model(experiment)
    clock = Clock(settings, earlier=state["elapsed"] if state else 0.0)
    best = BestWeights(settings, folder / "best.weights.h5")
    plateau = PlateauRate(settings, best)
    reports = Reports(settings, clock, best, observers)
    if state:
        best.restore(state["best"])
        plateau.lowered_at = state["lowered_at"]
        reports.history = state["history"]
    callbacks: list[keras.callbacks.Callback] = [
        FiniteLoss(),
        best,
        *(
            {"cosine": [CosineRate(settings, clock)], "plateau": [plateau]}.get(
                settings.schedule, []
            )
        ),
        EpochPictures(experiment, dataset.splits["valid"], observers),
        TimeBudget(clock),
        reports,
        SavedState(folder, clock, best, plateau, reports),
    ]
    done = state["epoch"] if state else 0
    if not (state and state["stopped"]) and done < settings.epochs:
        _run(model, experiment, dataset, cache, callbacks, done)
    return Training(
        model=_best_model(experiment, model, folder / "best.weights.h5"),
        history=pd.DataFrame(reports.history),
        best_epoch=best.best_epoch,
        seconds=clock.elapsed,
    )


def compiled_model(experiment: Experiment) -> keras.Model:
    """A fresh network with the experiment's loss, optimizer and metrics."""
    settings = experiment.training
    model = build_model(experiment.model, experiment.image.channels, precision=settings.precision)
    model.compile(
        optimizer=_optimizer(settings),
        loss=LOSSES[settings.loss](),
        metrics=[DiceCoefficient(), Dice()],
    )
    return model


def _optimizer(settings: TrainingSettings) -> keras.optimizers.Optimizer:
    clipping = {"clipvalue": settings.clipvalue, "clipnorm": settings.clipnorm}
    if settings.optimizer == "AdamW":
        return keras.optimizers.AdamW(
            settings.learning_rate, weight_decay=settings.weight_decay, **clipping
        )
    return keras.optimizers.Adam(settings.learning_rate, **clipping)


def _run(
    model: keras.Model,
    experiment: Experiment,
    dataset: Dataset,
    cache: PixelCache,
    callbacks: list[keras.callbacks.Callback],
    done: int,
) -> None:
    settings = experiment.training
    model.fit(
        TileSampler(
            dataset.splits["train"],
            experiment,
            cache,
            steps=settings.steps_per_epoch,
            start_epoch=done,
            workers=settings.workers,
        ),
        validation_data=ValidationTiles(dataset.splits["valid"], experiment, cache),
        shuffle=False,  # Keras would shuffle the batches with a seed of its own
        initial_epoch=done,
        epochs=settings.epochs,
        callbacks=callbacks,
        verbose=0,
    )


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainingError(
            f"nothing to resume: {path} does not exist (no epoch of that run ended on this "
            "machine); start a new training without --resume"
        ) from None
    return state


def _restored_model(folder: Path, state: dict[str, Any]) -> keras.Model:
    path = folder / state["file"]
    try:
        return keras.saving.load_model(path)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: the saved state cannot be read ({error})") from error


def _best_model(experiment: Experiment, model: keras.Model, weights: Path) -> keras.Model:
    """The trained network in float32, which every processor runs at full speed."""
    if not weights.exists():
        raise TrainingError(
            "training ended without one epoch to choose from: "
            f"{experiment.training.monitor} was never a number"
        )
    model.load_weights(weights)
    plain = build_model(experiment.model, experiment.image.channels)
    plain.set_weights(model.get_weights())
    return plain
