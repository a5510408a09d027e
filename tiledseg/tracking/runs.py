"""Runs in MLflow: opened, filled with results, and always closed."""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas

from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.config.format_version import require_format
from tiledseg.data.dataset import Dataset
from tiledseg.evaluation.evaluate import ImageEvaluation
from tiledseg.evaluation.figures import comparison_sheet, learning_curves, save_figure
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_image, write_labels, write_mask, write_probability
from tiledseg.masks.classes import labels_of, paint
from tiledseg.tracking.names import (
    COMPARISON_FOLDER,
    CURVES_FOLDER,
    CURVES_PICTURE,
    EPOCHS_KEY,
    ERROR_TAG,
    EXPERIMENT_FILE,
    FORMAT_TAG,
    HISTORY_FILE,
    IMAGE_LAYER,
    PREDICTIONS_FOLDER,
    SCORES_FILE,
    SCORES_TABLE_FILE,
    TARGET_LAYER,
    THRESHOLD,
    grid_file,
)
from tiledseg.tracking.run_ids import forget_error, make_or_take_run, point_launcher_to
from tiledseg.tracking.store import connect, store_errors
from tiledseg.training.observer import EpochPicture, EpochReport
from tiledseg.training.session import SavedTraining

logger = logging.getLogger(__name__)


class TrackedRun:
    """An open MLflow run; observes a training and logs its results.

    Args:
        client: The store.
        run_id: The open run.
        files: A folder for files until they are in the store.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str, files: Path) -> None:
        self.client = client
        self.run_id = run_id
        self.files = files

    @property
    def experiment_id(self) -> str:
        """The MLflow experiment that the run belongs to."""
        return str(self.client.get_run(self.run_id).info.experiment_id)

    def log_experiment(self, experiment: Experiment) -> None:
        """Log the settings, flattened, and the YAML that gives them back."""
        mlflow.log_params(experiment.flatten())
        mlflow.log_text(experiment.to_yaml(), EXPERIMENT_FILE)

    def log_dataset(self, dataset: Dataset) -> None:
        """Log each split as a dataset input: its pairs and the dataset's digest."""
        for split, samples in dataset.splits.items():
            table = pd.DataFrame(
                {
                    "stem": [sample.stem for sample in samples],
                    "image": [str(sample.image) for sample in samples],
                    "mask": [str(sample.mask) for sample in samples],
                }
            )
            table["digest"] = dataset.digest
            with warnings.catch_warnings():  # MLflow registers its local source twice and says so
                warnings.filterwarnings("ignore", "The specified dataset source", UserWarning)
                pairs = from_pandas(
                    table,
                    source=str(dataset.folder),
                    name=f"{dataset.name}/{split}",  # MLflow keeps one input per name and digest
                    digest=dataset.digest,
                )
            mlflow.log_input(pairs, context=split, tags={"split_drawn": str(dataset.drawn)})

    def on_batch_end(
        self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]
    ) -> None:
        """Nothing: a run keeps epochs."""

    def on_epoch_end(self, report: EpochReport) -> None:
        """Log an epoch's metrics with the epoch as step."""
        mlflow.log_metrics(dict(report.metrics), step=report.epoch)

    def on_saved(self, saved: SavedTraining) -> None:
        """Nothing."""

    def on_epoch_masks(self, picture: EpochPicture) -> None:
        """Log an epoch-change mask with the epoch as step."""
        several = picture.labels > 2
        mlflow.log_image(
            paint(picture.mask, picture.labels) if several else picture.mask * np.uint8(255),
            key=f"{EPOCHS_KEY}/{picture.stem}/{picture.mode}",
            step=picture.epoch,
            synchronous=True,
        )

    def log_history(self, history: pd.DataFrame, best_epoch: int, seconds: float) -> None:
        """Log the curves as CSV and PNG, which epoch was best, and how long it all took."""
        mlflow.log_text(history.to_csv(index=False), HISTORY_FILE)
        picture = self.files / CURVES_PICTURE
        save_figure(learning_curves(history, best_epoch), picture)
        mlflow.log_artifact(str(picture), CURVES_FOLDER)
        mlflow.log_metrics({"best_epoch": best_epoch, "training_seconds": seconds})

    def log_threshold(self, threshold: float) -> None:
        """Log the threshold that was chosen on validation images."""
        mlflow.log_metric(THRESHOLD, threshold)

    def log_evaluation(
        self, evaluation: ImageEvaluation, *, with_image: bool, with_sheet: bool
    ) -> None:
        """Log one image's predictions, and its picture, target and comparison sheet if asked."""
        split, stem = evaluation.split, evaluation.sample.stem
        root = self.files / split
        predictions, comparison = root / PREDICTIONS_FOLDER, root / COMPARISON_FOLDER
        for mode, probability in evaluation.probabilities.items():
            path = predictions / mode / f"{stem}.png"
            if probability.shape[2] == 1:
                write_probability(path, probability[..., 0])
            else:
                write_labels(path, labels_of(probability), len(evaluation.classes))
        if evaluation.grid is not None:
            seams = {"rows": evaluation.grid.seam_rows, "columns": evaluation.grid.seam_columns}
            mlflow.log_dict(seams, grid_file(split, stem))
        if with_image:
            image = evaluation.sample.image
            folder = predictions / IMAGE_LAYER
            folder.mkdir(parents=True, exist_ok=True)
            if image.is_file():  # named like its masks, whatever dataset.image_suffix is
                shutil.copyfile(image, folder / f"{stem}{image.suffix}")
            else:  # a store is a folder of many files
                write_image(folder / f"{stem}.png", read_image(image))
            path = predictions / TARGET_LAYER / f"{stem}.png"
            if (evaluation.target > 1).any() or len(evaluation.classes) > 2:
                write_labels(path, evaluation.target, len(evaluation.classes))
            else:
                write_mask(path, evaluation.target)
        if with_sheet:
            comparison.mkdir(parents=True, exist_ok=True)
            save_figure(comparison_sheet(evaluation), comparison / f"{stem}.png")
        for folder in (predictions, comparison):
            if folder.is_dir():
                mlflow.log_artifacts(str(folder), f"{folder.name}/{split}")
        shutil.rmtree(root)

    def log_scores(self, table: pd.DataFrame, metrics: Mapping[str, float]) -> None:
        """Log one row per image and mode as a table, and the final metrics."""
        mlflow.log_table(table, SCORES_TABLE_FILE)
        mlflow.log_text(table.to_csv(index=False), SCORES_FILE)
        mlflow.log_metrics(dict(metrics))


@contextmanager
def open_run(
    experiment: Experiment, kind: str, *, resume: str | None = None
) -> Iterator[TrackedRun]:
    """Open a run in the MLflow experiment named after the dataset, and close it whatever happens.

    It ends FINISHED, FAILED when an error left the block, or KILLED when the user or the
    system ended the program. Started by ``mlflow run``, the project's own run is used where
    it lies in the right experiment, and points to the real one otherwise.

    Args:
        experiment: Its dataset's name is the MLflow experiment's.
        kind: ``train`` or ``evaluate``, kept as a tag.
        resume: Id of a run to open again.

    Raises:
        TrackingError: The store does not answer, or there is no run of that id.
    """
    client = connect()
    name = experiment.dataset.name
    with store_errors():
        if resume:
            forget_error(client, resume)
            point_launcher_to(client, resume, name)
        run_id = resume or make_or_take_run(client, name, kind)
        mlflow.start_run(run_id=run_id)
    status = "FAILED"
    try:
        with tempfile.TemporaryDirectory(prefix="tiledseg-") as files:
            yield TrackedRun(client, run_id, Path(files))
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    except Exception as error:
        mlflow.set_tag(ERROR_TAG, str(error)[:5000])
        raise
    finally:
        mlflow.end_run(status)


def read_experiment(run_id: str) -> Experiment:
    """The experiment that a run was made with.

    Raises:
        TrackingError: There is no such run, or it was not made by tiledseg.
        FormatError: Another version of tiledseg made it, in another format.
    """
    client = connect()
    with store_errors():
        tags = client.get_run(run_id).data.tags
        text = mlflow.artifacts.load_text(f"runs:/{run_id}/{EXPERIMENT_FILE}")
    require_format(tags.get(FORMAT_TAG), f"run {run_id}")
    return parse_experiment(text, f"run {run_id}")
