"""Teaching a network: from an experiment and a dataset to the best weights."""

import json
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from tiledseg.backend import compiles_by_xla, fast_precision
from tiledseg.config import TrainingSettings
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset
from tiledseg.data.sampling.sampler import TileSampler
from tiledseg.data.sampling.validation_tiles import ValidationTiles
from tiledseg.errors import TrainingError
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.training.callbacks import (
    STATE_FILE,
    AveragedWeights,
    BestEpoch,
    EpochPictures,
    FiniteLoss,
    PlateauRate,
    Reports,
    ReseededDropout,
    SavedState,
    epoch_file,
)
from tiledseg.training.hard_examples import HardExamples
from tiledseg.training.losses import make_loss
from tiledseg.training.metrics import make_metrics
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
    """Wall time, earlier sessions included."""


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
        folder: Where checkpoints and the state for another session are kept.
        observers: Told about batches, epochs and epoch-change masks.
        resume: Go on from the state in ``folder``.

    Raises:
        TrainingError: The loss is not a number any more, or there is nothing to resume.
        TilingError: An image cannot be tiled as ``tiling`` says; found before training.
        OutputError: A checkpoint cannot be written.
    """
    settings = experiment.training
    state = _read_state(folder) if resume else None
    done = state["epoch"] if state else 0
    keras.utils.set_random_seed(settings.seed)
    model = _load(epoch_file(folder, done), to_train=True) if state else compile_model(experiment)
    _check_tiling(model, experiment, dataset, cache)
    clock = Clock(settings, earlier=state["elapsed"] if state else 0.0)
    best = BestEpoch(settings)
    plateau = PlateauRate(settings, best)
    reports = Reports(settings, clock, best, observers)
    saved = SavedState(folder, clock, best, plateau, reports)
    if state:
        saved.restore(state)
    schedules = {"cosine": [CosineRate(settings, clock)], "plateau": [plateau], "constant": []}
    callbacks: list[keras.callbacks.Callback] = [
        *([AveragedWeights(resumed=resume)] if settings.ema_momentum else []),
        FiniteLoss(),
        ReseededDropout(settings),
        best,
        EpochPictures(experiment, dataset.splits["valid"], observers),
        TimeBudget(clock),
        reports,  # before the rate is lowered: an epoch's rate is the one it was trained with
        *schedules[settings.schedule],
        saved,
    ]
    if not (state and state["stopped"]) and done < settings.epochs:
        samples = dataset.splits["train"]
        sampler = TileSampler(samples, experiment, cache, start_epoch=done)
        if settings.hard_example_fraction:
            hard = HardExamples(sampler, samples, experiment, cache)
            callbacks.append(hard)
            if done:
                hard.measure(model, done)
        with closing(sampler):
            model.fit(
                sampler,
                validation_data=ValidationTiles(dataset.splits["valid"], experiment, cache),
                steps_per_epoch=settings.steps_per_epoch,
                initial_epoch=done,
                epochs=settings.epochs,
                callbacks=callbacks,
                shuffle=False,  # crops are drawn at random; Keras's order depends on the session
                verbose=0,
            )
    return Training(
        model=_best_model(experiment, folder, best.epoch),
        history=pd.DataFrame(reports.history),
        best_epoch=best.epoch,
        seconds=clock.elapsed,
    )


def decide_precision(experiment: Experiment) -> Experiment:
    """The experiment with ``training.precision: auto`` replaced by what suits this machine."""
    if experiment.training.precision != "auto":
        return experiment
    return experiment.override({"training.precision": fast_precision()})


def compile_model(experiment: Experiment) -> keras.Model:
    """A fresh network with the experiment's loss, optimizer and metrics."""
    settings = decide_precision(experiment).training
    model = build_model(
        experiment.model,
        experiment.image.channels,
        precision=settings.precision,
        pretrained=True,
    )
    model.compile(
        optimizer=_optimizer(settings),
        loss=make_loss(settings),
        metrics=make_metrics(settings, experiment.model.num_classes, experiment.class_names),
        jit_compile=compiles_by_xla(settings.precision),
    )
    # Variables that are made in the first step make TensorFlow trace it twice.
    model.optimizer.build(model.trainable_variables)
    return model


def _optimizer(settings: TrainingSettings) -> keras.optimizers.Optimizer:
    options: dict[str, Any] = {
        "learning_rate": settings.learning_rate,
        "clipvalue": settings.clipvalue,
        "clipnorm": settings.clipnorm,
    }
    if settings.ema_momentum:
        options |= {"use_ema": True, "ema_momentum": settings.ema_momentum}
    if settings.optimizer == "AdamW":
        return keras.optimizers.AdamW(weight_decay=settings.weight_decay, **options)
    return keras.optimizers.Adam(**options)


def _check_tiling(
    model: keras.Model, experiment: Experiment, dataset: Dataset, cache: PixelCache
) -> None:
    """Refuse now what the evaluation would refuse after the training."""
    predictor = Predictor(model, experiment)
    for split in ("valid", "test"):
        for sample in dataset.splits[split]:
            height, width = cache.image(sample.image, experiment.image).shape[:2]
            predictor.grid(height, width)


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / STATE_FILE
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainingError(
            f"nothing to resume: {path} does not exist (no epoch of that run ended on this "
            "machine); start a new training without --resume"
        ) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return state


def _load(path: Path, *, to_train: bool) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=to_train)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TrainingError:
    reason = " ".join(str(error).split())[:300]
    return TrainingError(
        f"{path}: the saved state cannot be read ({reason}); start a new training without --resume"
    )


def _best_model(experiment: Experiment, folder: Path, epoch: int) -> keras.Model:
    """The best network in float32, which every processor runs at full speed."""
    if not epoch:
        raise TrainingError(
            f"training ended without an epoch to choose: {experiment.training.monitor} was never "
            "a number; lower training.learning_rate"
        )
    plain = build_model(experiment.model, experiment.image.channels)
    plain.set_weights(_load(epoch_file(folder, epoch), to_train=False).get_weights())
    return plain
