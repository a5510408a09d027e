"""The main job: check the data, train, evaluate, log, register.

There is one training path. The command line, the sweep and a notebook all call ``train``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from tiledseg.checking.split_rules import refuse_leaks
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset, data_root, load_dataset
from tiledseg.data.integrity import DatasetSummary, check_dataset
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError
from tiledseg.evaluation.evaluate import ImageEvaluation, evaluate_images, summarize_seams
from tiledseg.evaluation.scores import Figure, summarize_scores
from tiledseg.evaluation.threshold import tune_threshold
from tiledseg.models.encoders import require_encoder_weights
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.names import name_figures
from tiledseg.tracking.offline import open_offline_run
from tiledseg.tracking.registry import Registration, find_registration
from tiledseg.tracking.resuming import fetch_training
from tiledseg.tracking.runs import open_run
from tiledseg.tracking.store import connect
from tiledseg.tracking.tracked_run import TrackedRun
from tiledseg.training.arithmetic import ChosenArithmetic
from tiledseg.training.fit import decide_arithmetic, fit
from tiledseg.training.observer import TrainingObserver
from tiledseg.training.stopping import StopRequest

EVALUATED_SPLITS = ("valid", "test")


class PipelineObserver(TrainingObserver, Protocol):
    """Listens to the whole job."""

    def on_run_start(self, run_id: str) -> None:
        """The MLflow run exists."""

    def on_dataset(self, dataset: Dataset, summary: DatasetSummary) -> None:
        """Every image and mask was read and found sound."""

    def on_image(self, evaluation: ImageEvaluation) -> None:
        """An image was scored, tiled and whole."""


@dataclass(frozen=True)
class RepeatedTraining:
    """What a new run repeats."""

    run_id: str
    """The run that has trained before."""
    rates: Sequence[Sequence[float]]
    """The learning rate of every step, epoch by epoch."""


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of a network on whole images."""

    run_id: str
    """The MLflow run that holds everything."""
    metrics: dict[str, float]
    """``SPLIT/MODE/SCORE`` and ``SPLIT/seam/FIGURE``, but those that no image has, and the numbers
    of images behind them, see ``tracking.names``."""
    table: pd.DataFrame
    """One row per image and mode."""


@dataclass(frozen=True)
class TrainingResult(EvaluationResult):
    """What ``train`` made."""

    best_epoch: int
    training_seconds: float
    registration: Registration | None
    """None when ``tracking.register_model`` is false, and of a run without a store."""
    model_folder: Path | None = None
    """Of a run without a store: where its network is, ready to be used."""


@dataclass(frozen=True)
class _Job:
    """What every step of a job needs."""

    experiment: Experiment
    run: TrackedRun
    observers: Sequence[PipelineObserver]
    arithmetic: ChosenArithmetic | None = None


def train(
    experiment: Experiment,
    observers: Sequence[PipelineObserver] = (),
    *,
    root: Path | None = None,
    resume: str | None = None,
    parent: str = "",
    repeated: RepeatedTraining | None = None,
    splits: Sequence[str] = EVALUATED_SPLITS,
    stop: StopRequest | None = None,
    offline: bool = False,
    times_arithmetic: bool = True,
) -> TrainingResult:
    """Do the main job for one experiment.

    Args:
        experiment: All settings.
        observers: Told what happens.
        root: Folder of datasets; by default ``TILEDSEG_DATA`` or ./data.
        resume: Id of an interrupted run to go on with, from its last state, on whatever machine
            that was saved. A run without a state begins anew.
        parent: Id of a finished run whose training a new run goes on with.
        repeated: A training whose steps and learning rates a new run repeats.
        splits: What the network is scored on; a search leaves the test images out.
        stop: Set by whoever wants the training to stop at the end of the step.
        offline: Log to this machine alone, for ``tiledseg sync`` to send; ``resume`` is then the
            id of such a run.
        times_arithmetic: Whether ``training.precision: auto`` times steps of a network that was
            not timed before; else what was chosen for another network is taken.

    Raises:
        TiledsegError: Something that the user can mend; the run is then marked FAILED.
        StoppedError: It was asked to stop; the run is KILLED, and can be resumed.
        StoreAwayError: All is done but for what the store has not taken yet.
    """
    require_encoder_weights(experiment.model)
    dataset = _find_dataset(experiment, root, asks_store=not offline)
    reproduces = repeated.run_id if repeated else ""
    opened = (
        open_offline_run(experiment, "train", resume=resume)
        if offline
        else open_run(experiment, "train", resume=resume, parent=parent, reproduces=reproduces)
    )
    with opened as run:
        chosen = decide_arithmetic(experiment, may_time=times_arithmetic)
        experiment = chosen.apply(experiment)
        job = _Job(experiment, run, observers, chosen)
        goes_on = bool(resume or parent) and fetch_training(run, parent or run.run_id)
        cache = PixelCache()
        _open_dataset(job, dataset, cache)
        run.state_folder.mkdir(exist_ok=True)
        training = fit(
            experiment,
            dataset,
            cache,
            run.state_folder,
            [run, *observers],
            resume=goes_on,
            replay=repeated.rates if repeated else None,
            stop=stop,
        )
        run.log_history(training)
        predictor = Predictor(training.model, experiment)
        if experiment.training.tune_threshold:
            predictor = predictor.replace(
                threshold=tune_threshold(predictor, dataset.splits["valid"])
            )
            run.log_threshold(predictor.threshold)
        metrics, table = _evaluate(predictor, dataset, splits, job)
        if parent:
            run.log_inherited(predictor, training.best_epoch)
        name = experiment.dataset.name if experiment.tracking.register_model else ""
        score = ValidationScore.from_metrics(metrics, experiment.class_names)
        run.log_registration(predictor, training.best_epoch, name, score)
    return TrainingResult(
        run_id=run.run_id,
        metrics=metrics,
        table=table,
        best_epoch=training.best_epoch,
        training_seconds=training.seconds,
        model_folder=run.model_folder if offline else None,
        registration=find_registration(run.client, name, run.run_id, training.best_epoch)
        if name and run.client
        else None,
    )


def evaluate(
    predictor: Predictor,
    experiment: Experiment,
    splits: Sequence[str] = EVALUATED_SPLITS,
    observers: Sequence[PipelineObserver] = (),
    *,
    root: Path | None = None,
    offline: bool = False,
) -> EvaluationResult:
    """Score a trained network on a dataset, tiled beside whole, in a run of its own.

    Args:
        predictor: The network.
        experiment: Its dataset section says which images; the rest is the predictor's own.
        splits: Which splits.
        observers: Told what happens.
        root: Folder of datasets; by default ``TILEDSEG_DATA`` or ./data.
        offline: Log to this machine alone, for ``tiledseg sync`` to send.
    """
    dataset = _find_dataset(experiment, root, asks_store=not offline)
    opened = open_offline_run if offline else open_run
    with opened(experiment, "evaluate") as run:
        job = _Job(experiment, run, observers)
        _open_dataset(job, dataset, PixelCache())
        metrics, table = _evaluate(predictor, dataset, splits, job)
    return EvaluationResult(run.run_id, metrics, table)


def prepare(
    experiment: Experiment,
    observers: Sequence[PipelineObserver] = (),
    *,
    root: Path | None = None,
) -> Dataset:
    """Make a dataset ready: draw a synthetic one, check every file, decode into the cache.

    Training does the same first; afterwards it starts at once. No MLflow run is made.
    """
    dataset = _find_dataset(experiment, root)
    _check_dataset(dataset, experiment, PixelCache(), observers)
    return dataset


def _find_dataset(
    experiment: Experiment, root: Path | None, *, asks_store: bool = False
) -> Dataset:
    """List and pair the files, before a run is made: a mistyped name leaves none that failed."""
    if asks_store:
        connect()  # whoever has a store that is away is told so before many files are read
    dataset = load_dataset(experiment.dataset, root or data_root())
    refuse_leaks(dataset.splits, experiment.dataset.split, dataset.folder)
    return dataset


def _open_dataset(job: _Job, dataset: Dataset, cache: PixelCache) -> None:
    """Announce the run, log its provenance, settings and data, and read every file."""
    for observer in job.observers:
        observer.on_run_start(job.run.run_id)
    job.run.log_provenance(job.arithmetic)
    job.run.log_experiment(job.experiment)
    _check_dataset(dataset, job.experiment, cache, job.observers)
    job.run.log_dataset(dataset, job.experiment.dataset)


def _check_dataset(
    dataset: Dataset,
    experiment: Experiment,
    cache: PixelCache,
    observers: Sequence[PipelineObserver],
) -> None:
    summary = check_dataset(dataset, experiment, cache)
    for observer in observers:
        observer.on_dataset(dataset, summary)


def _evaluate(
    predictor: Predictor, dataset: Dataset, splits: Sequence[str], job: _Job
) -> tuple[dict[str, float], pd.DataFrame]:
    rows: list[dict[str, str | float]] = []
    figures: list[Figure] = []
    for split in splits:
        seams = []
        samples = _samples_of(dataset, split)
        shown = job.experiment.tracking.log_images
        for number, item in enumerate(evaluate_images(predictor, samples, split, job.experiment)):
            job.run.log_evaluation(
                item,
                with_image=shown,
                with_sheet=shown and number < job.experiment.evaluation.comparison_images,
            )
            rows.extend(item.rows)
            seams.append(item.seams)
            for observer in job.observers:
                observer.on_image(item)
        figures += summarize_seams(split, seams)
    table = pd.DataFrame(rows)
    figures += summarize_scores(table, job.experiment.class_names)
    metrics = name_figures(figures)
    job.run.log_scores(table, metrics)
    return metrics, table


def _samples_of(dataset: Dataset, split: str) -> Sequence[Sample]:
    if split not in dataset.splits:
        raise DatasetError(
            f"dataset {dataset.name} has no split {split!r}; use one of {', '.join(dataset.splits)}"
        )
    return dataset.splits[split]
