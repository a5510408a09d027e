"""Teaching a network: from an experiment and a dataset to the best weights."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tiledseg.backend import Arithmetic, assume_arithmetic, needs_xla
from tiledseg.config import TrainingSettings
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset
from tiledseg.data.sampling.sampler import TileSampler
from tiledseg.data.sampling.validation_tiles import ValidationTiles
from tiledseg.errors import DatasetError, TrainingError
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.training.arithmetic import ChosenArithmetic, choose_arithmetic
from tiledseg.training.callbacks import (
    AveragedWeights,
    BestEpoch,
    EpochPictures,
    FiniteLoss,
    PlateauRate,
    Reports,
    ReseededDropout,
)
from tiledseg.training.hard_examples import HardExamples
from tiledseg.training.losses import make_loss
from tiledseg.training.metrics import make_metrics
from tiledseg.training.observer import TrainingObserver
from tiledseg.training.replay import RateRecord, ReplayedRate
from tiledseg.training.schedule import Clock, CosineRate, TimeBudget
from tiledseg.training.session import (
    STATE_FILE,
    Part,
    ResumedEpoch,
    SavedSession,
    SavedTraining,
    describe_unreadable,
    epoch_file,
    load_network,
    read_session,
)
from tiledseg.training.stopping import StopRequest

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
    rates: Sequence[Sequence[float]]
    """The learning rate of every step, epoch by epoch."""


def fit(
    experiment: Experiment,
    dataset: Dataset,
    cache: PixelCache,
    folder: Path,
    observers: Sequence[TrainingObserver] = (),
    *,
    resume: bool = False,
    replay: Sequence[Sequence[float]] | None = None,
    stop: StopRequest | None = None,
) -> Training:
    """Train a network as an experiment says.

    Args:
        experiment: All settings.
        dataset: Its train and valid splits are used.
        cache: Decoded images.
        folder: Where checkpoints and the state for another session are kept.
        observers: Told about batches, epochs and epoch-change masks.
        resume: Go on from the state in ``folder``.
        replay: The learning rates of another training, epoch by epoch and step by step: these
            steps are trained, whatever clock, schedule and patience would say.
        stop: Set by whoever wants the training to stop at the end of the step.

    Raises:
        TrainingError: The loss is not a number any more, or there is nothing to resume.
        TilingError: An image cannot be tiled as ``tiling`` says; found before training.
        DatasetError: No validation tile has any of several classes, and by them the best epoch is
            to be chosen; found before training.
        OutputError: A checkpoint cannot be written.
        StoppedError: It was asked to stop; the state is saved.
    """
    settings, stop = experiment.training, stop or StopRequest()
    state = read_session(folder) if resume else None
    done, batch = (state["epoch"], state.get("batch", 0)) if state else (0, 0)
    keras.utils.set_random_seed(settings.seed)
    model = (
        load_network(epoch_file(folder, done, batch), to_train=True)
        if state
        else compile_model(experiment)
    )
    _check_tiling(model, experiment, dataset, cache)
    timed = settings.model_copy(update={"max_minutes": None}) if replay else settings
    clock = Clock(timed, earlier=state["elapsed"] if state else 0.0)
    best = BestEpoch(settings)
    plateau = PlateauRate(settings, best)
    budget = TimeBudget(clock)
    reports = Reports(settings, clock, best, observers)
    record = RateRecord(is_steady=settings.schedule != "cosine" and not replay)
    parts: dict[str, Part] = {
        "best": best,
        "plateau": plateau,
        "budget": budget,
        "reports": reports,
        "record": record,
    }
    if state and (state["stopped"] or done >= settings.epochs):
        _restore(parts, state, folder)
    else:
        samples = dataset.splits["train"]
        validation = ValidationTiles(dataset.splits["valid"], experiment, cache)
        _check_monitor(validation, experiment)
        with closing(
            TileSampler(samples, experiment, cache, start_epoch=done, start_step=batch)
        ) as sampler:
            if settings.hard_example_fraction:
                parts["hard_examples"] = HardExamples(sampler, samples, experiment, cache)
            if state:
                _restore(parts, state, folder)
            saving = SavedSession(
                folder,
                settings,
                experiment.tracking,
                clock=clock,
                best=best,
                reports=reports,
                parts=parts,
                start=(done, batch),
                stop=stop,
                save_predictor=_PredictorWriter(experiment),
                on_saved=lambda saved: _tell(observers, saved),
            )
            schedules = {
                "cosine": [CosineRate(settings, clock)],
                "plateau": [plateau],
                "constant": [],
            }
            callbacks: list[keras.callbacks.Callback] = [
                *([AveragedWeights(resumed=resume and not batch)] if settings.ema_momentum else []),
                FiniteLoss(),
                ReseededDropout(settings),
                *([ResumedEpoch(done, batch, state["within"])] if state and batch else []),
                best,
                EpochPictures(experiment, dataset.splits["valid"], observers),
                budget,
                reports,  # before the rate is lowered: an epoch's rate is that of its training
                *([ReplayedRate(replay)] if replay else schedules[settings.schedule]),
                record,
                *([parts["hard_examples"]] if "hard_examples" in parts else []),
                saving,
            ]
            with stop.deferred():
                model.fit(
                    sampler,
                    validation_data=validation,
                    steps_per_epoch=settings.steps_per_epoch,
                    initial_epoch=done,
                    epochs=len(replay) if replay else settings.epochs,
                    callbacks=callbacks,
                    shuffle=False,  # crops are drawn at random; Keras's order is the session's
                    verbose=0,
                )
    return Training(
        model=_best_model(experiment, folder, best.epoch),
        history=pd.DataFrame(reports.history),
        best_epoch=best.epoch,
        seconds=clock.elapsed,
        rates=record.rates,
    )


def _restore(parts: Mapping[str, Part], state: Mapping[str, Any], folder: Path) -> None:
    try:
        for name, part in parts.items():
            part.restore(state["parts"][name])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise describe_unreadable(folder / STATE_FILE, error) from error


def _tell(observers: Sequence[TrainingObserver], saved: SavedTraining) -> None:
    for observer in observers:
        observer.on_saved(saved)


def decide_arithmetic(experiment: Experiment, *, may_time: bool = True) -> ChosenArithmetic:
    """What a training of an experiment computes in on this machine; timed if need be.

    Args:
        experiment: All settings.
        may_time: Whether steps are timed where none of this network are remembered.
    """

    def make_step(arithmetic: Arithmetic) -> Callable[[], None]:
        model = compile_model(ChosenArithmetic(arithmetic).apply(experiment))
        size, batch = experiment.image.size, experiment.training.batch_size
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (batch, size, size, experiment.image.channels), np.uint8)
        labels = np.zeros((batch, size, size, 1), np.float32)
        labels[:, : size // 2] = 1

        def step() -> None:
            model.train_on_batch(images, labels)

        return step

    return choose_arithmetic(experiment, make_step, may_time=may_time)


def compile_model(experiment: Experiment) -> keras.Model:
    """A fresh network with the experiment's loss, optimizer and metrics."""
    if experiment.training.precision == "auto":
        experiment = ChosenArithmetic(assume_arithmetic()).apply(experiment)
    settings = experiment.training
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
        jit_compile=needs_xla() if settings.xla is None else settings.xla,
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


def _check_monitor(validation: ValidationTiles, experiment: Experiment) -> None:
    """Refuse now what would leave no epoch to choose: of several classes, a Dice of none."""
    settings = experiment.training
    if experiment.model.num_classes == 1 or settings.monitor == "val_loss":
        return
    if not validation.has_classes():
        raise DatasetError(
            f"training.monitor is {settings.monitor}, and no validation tile of "
            f"{experiment.dataset.name} has a class but the background, so that it is not "
            "defined; add validation images that have some, raise training.validation_tiles "
            f"({settings.validation_tiles}), or set training.monitor to val_loss"
        )


class _PredictorWriter:
    """Writes the network of a training as it is used: in float32, without an optimizer."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._plain: keras.Model | None = None

    def __call__(self, model: keras.Model, folder: Path) -> None:
        if self._plain is None:
            self._plain = build_model(self._experiment.model, self._experiment.image.channels)
        self._plain.set_weights(model.get_weights())
        Predictor(self._plain, self._experiment).save(folder)


def _best_model(experiment: Experiment, folder: Path, epoch: int) -> keras.Model:
    """The best network in float32, which every processor runs at full speed."""
    if not epoch:
        raise TrainingError(
            f"training ended without an epoch to choose: {experiment.training.monitor} was never "
            "a number; lower training.learning_rate"
        )
    plain = build_model(experiment.model, experiment.image.channels)
    plain.set_weights(load_network(epoch_file(folder, epoch), to_train=False).get_weights())
    return plain
