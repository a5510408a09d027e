"""The main job: check the data, train, evaluate, log, register.

There is one training path. The command line, the sweep and a notebook all call ``train``.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd
import platformdirs

from tiledseg.checking.split_rules import refuse_leaks
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset, data_root, load_dataset
from tiledseg.data.integrity import DatasetSummary, check_dataset
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError, OutputError, TrainingError
from tiledseg.evaluation.evaluate import ImageEvaluation, evaluate_images, summarize_seams
from tiledseg.evaluation.scores import summarize_scores
from tiledseg.evaluation.threshold import tune_threshold
from tiledseg.models.encoders import require_encoder_weights
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking import registry
from tiledseg.tracking.names import CHAMPION_METRIC
from tiledseg.tracking.registry import Registration
from tiledseg.tracking.runs import TrackedRun, open_run
from tiledseg.training.callbacks import STATE_FILE
from tiledseg.training.fit import decide_precision, fit
from tiledseg.training.observer import TrainingObserver

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
class EvaluationResult:
    """Scores of a network on whole images."""

    run_id: str
    """The MLflow run that holds everything."""
    metrics: dict[str, float]
    """``SPLIT/MODE/SCORE`` and ``SPLIT/seam/FIGURE``."""
    table: pd.DataFrame
    """One row per image and mode."""


@dataclass(frozen=True)
class TrainingResult(EvaluationResult):
    """What ``train`` made."""

    best_epoch: int
    training_seconds: float
    registration: Registration | None
    """None when ``tracking.register_model`` is false."""


@dataclass(frozen=True)
class _Job:
    """What every step of a job needs."""

    experiment: Experiment
    run: TrackedRun
    observers: Sequence[PipelineObserver]


def train(
    experiment: Experiment,
    observers: Sequence[PipelineObserver] = (),
    *,
    root: Path | None = None,
    resume: str | None = None,
    splits: Sequence[str] = EVALUATED_SPLITS,
) -> TrainingResult:
    """Do the main job for one experiment.

    Args:
        experiment: All settings.
        observers: Told what happens.
        root: Folder of datasets; by default ``TILEDSEG_DATA`` or ./data.
        resume: Id of an interrupted run to go on with.
        splits: What the network is scored on; a search leaves the test images out.

    Raises:
        TiledsegError: Something that the user can mend; the run is then marked FAILED. A run
            that cannot be resumed, since it has ended well or began on another machine, stays
            as it is.
    """
    if resume is not None:
        _require_state(resume)
    experiment = decide_precision(experiment)
    require_encoder_weights(experiment.model)
    with open_run(experiment, "train", resume=resume) as run:
        job = _Job(experiment, run, observers)
        cache = PixelCache()
        dataset = _open_dataset(job, root, cache, log_settings=resume is None)
        folder = _state_folder(run.run_id)
        training = fit(
            experiment, dataset, cache, folder, [run, *observers], resume=resume is not None
        )
        run.log_history(training.history, training.best_epoch, training.seconds)
        predictor = Predictor(training.model, experiment)
        if experiment.training.tune_threshold:
            predictor = predictor.replace(
                threshold=tune_threshold(predictor, dataset.splits["valid"])
            )
            run.log_threshold(predictor.threshold)
        metrics, table = _evaluate(predictor, dataset, splits, job)
        registration = _register(predictor, metrics, job)
        shutil.rmtree(folder)
    return TrainingResult(
        run_id=run.run_id,
        metrics=metrics,
        table=table,
        best_epoch=training.best_epoch,
        training_seconds=training.seconds,
        registration=registration,
    )


def evaluate(
    predictor: Predictor,
    experiment: Experiment,
    splits: Sequence[str] = EVALUATED_SPLITS,
    observers: Sequence[PipelineObserver] = (),
    *,
    root: Path | None = None,
) -> EvaluationResult:
    """Score a trained network on a dataset, tiled beside whole, in a run of its own.

    Args:
        predictor: The network.
        experiment: Its dataset section says which images; the rest is the predictor's own.
        splits: Which splits.
        observers: Told what happens.
        root: Folder of datasets; by default ``TILEDSEG_DATA`` or ./data.
    """
    with open_run(experiment, "evaluate") as run:
        job = _Job(experiment, run, observers)
        dataset = _open_dataset(job, root, PixelCache(), log_settings=True)
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
    return _check_and_load(experiment, root, PixelCache(), observers)


def _open_dataset(
    job: _Job, root: Path | None, cache: PixelCache, *, log_settings: bool
) -> Dataset:
    """Announce the run, log its settings and data, and hand out the checked dataset."""
    for observer in job.observers:
        observer.on_run_start(job.run.run_id)
    if log_settings:
        job.run.log_experiment(job.experiment)
    dataset = _check_and_load(job.experiment, root, cache, job.observers)
    job.run.log_dataset(dataset)
    return dataset


def _check_and_load(
    experiment: Experiment,
    root: Path | None,
    cache: PixelCache,
    observers: Sequence[PipelineObserver],
) -> Dataset:
    dataset = load_dataset(experiment.dataset, root or data_root())
    refuse_leaks(dataset.splits, experiment.dataset.split, dataset.folder)
    summary = check_dataset(dataset, experiment, cache)
    for observer in observers:
        observer.on_dataset(dataset, summary)
    return dataset


def _evaluate(
    predictor: Predictor, dataset: Dataset, splits: Sequence[str], job: _Job
) -> tuple[dict[str, float], pd.DataFrame]:
    rows: list[dict[str, str | float]] = []
    metrics: dict[str, float] = {}
    for split in splits:
        seams = []
        samples = _samples_of(dataset, split)
        for number, item in enumerate(evaluate_images(predictor, samples, split, job.experiment)):
            job.run.log_evaluation(
                item,
                with_image=job.experiment.tracking.log_images,
                with_sheet=number < job.experiment.evaluation.comparison_images,
            )
            rows.extend(item.rows)
            seams.append(item.seams)
            for observer in job.observers:
                observer.on_image(item)
        metrics.update(summarize_seams(split, seams))
    table = pd.DataFrame(rows)
    metrics.update(summarize_scores(table))
    job.run.log_scores(table, metrics)
    return metrics, table


def _samples_of(dataset: Dataset, split: str) -> Sequence[Sample]:
    if split not in dataset.splits:
        raise DatasetError(
            f"dataset {dataset.name} has no split {split!r}; use one of {', '.join(dataset.splits)}"
        )
    return dataset.splits[split]


def _register(predictor: Predictor, metrics: dict[str, float], job: _Job) -> Registration | None:
    folder = job.run.files / "predictor"
    folder.mkdir()
    model_id = registry.log_model(predictor, folder)
    if not job.experiment.tracking.register_model:
        return None
    return registry.register(
        job.run.client,
        job.experiment.dataset.name,
        model_id,
        job.run.run_id,
        metrics[CHAMPION_METRIC],
    )


def _require_state(run_id: str) -> None:
    """Refuse to resume a run whose checkpoints are not here, before it is touched."""
    path = _state_place(run_id) / STATE_FILE
    if not path.is_file():
        raise TrainingError(
            f"run {run_id} has nothing to resume: {path} does not exist (the run has ended well, "
            "or no epoch of it ended on this machine); leave it as it is, or start a new "
            "training without --resume"
        )


def _state_place(run_id: str) -> Path:
    """Where a run keeps its checkpoints until it has ended well.

    In the user's state folder, or that which ``TILEDSEG_STATE`` names.
    """
    home = os.environ.get("TILEDSEG_STATE") or platformdirs.user_state_dir("tiledseg")
    return Path(home) / run_id


def _state_folder(run_id: str) -> Path:
    """That place, made where it is missing."""
    folder = _state_place(run_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: checkpoints cannot be written there ({error.strerror}); set "
            "TILEDSEG_STATE to a folder that can be written"
        ) from error
    return folder
