"""Runs in MLflow: opened, filled, closed.

What a run logs goes into an outbox on this machine first, and is sent from there while the work
goes on (``outbox``, ``sender``). So a store that is away for a while costs nothing, and one that
is away in the end costs a ``tiledseg sync``.
"""

# ruff: noqa: ARG002 - an observer gets more than this one needs

import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
import platformdirs
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from PIL import Image
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.config import DatasetSettings
from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.config.format_version import require_format
from tiledseg.data.dataset import Dataset
from tiledseg.errors import OutputError, StoppedError, StoreAwayError, TrackingError
from tiledseg.evaluation.evaluate import ImageEvaluation
from tiledseg.evaluation.figures import comparison_sheet, learning_curves, save_figure
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_image, write_labels, write_mask, write_probability
from tiledseg.masks.classes import labels_of, paint
from tiledseg.tracking.delivery import add_batch, deliver
from tiledseg.tracking.files import RunFiles, epoch_picture_name
from tiledseg.tracking.names import (
    COMPARISON_FOLDER,
    CURVES_FOLDER,
    CURVES_PICTURE,
    DATA_DIGEST_TAG,
    DATA_FILE,
    DIFF_FILE,
    EPOCH_PICTURES_FOLDER,
    ERROR_TAG,
    EXPERIMENT_FILE,
    FORMAT_TAG,
    HISTORY_FILE,
    IMAGE_LAYER,
    PREDICTIONS_FOLDER,
    RATES_FILE,
    REPRODUCES_TAG,
    RESUMED_TAG,
    SCORES_FILE,
    SCORES_TABLE_FILE,
    SETTING_TAG,
    TARGET_LAYER,
    THRESHOLD,
    THRESHOLD_TAG,
    TILING_TAG,
    grid_file,
)
from tiledseg.tracking.outbox import Entry, Outbox
from tiledseg.tracking.ownership import LostRunError, Ownership
from tiledseg.tracking.packaging import PREDICTOR_FOLDER, make_package
from tiledseg.tracking.provenance import describe_environment, digest_files
from tiledseg.tracking.revision import read_code
from tiledseg.tracking.run_ids import forget_error, make_or_take_run, point_launcher_to
from tiledseg.tracking.sender import Sender
from tiledseg.tracking.store import connect, store_address, store_errors
from tiledseg.training.observer import EpochPicture, EpochReport
from tiledseg.training.replay import tabulate_rates
from tiledseg.training.session import SavedTraining

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Predictor
    from tiledseg.training.fit import Training

PATIENCE_SECONDS = 60.0
"""How long a run that is done waits for a store that does not answer."""
_THUMBNAIL = 256
"""Longest side of the small copies of pictures, in pixels; MLflow's pages show them in grids."""

logger = logging.getLogger(__name__)


class TrackedRun:
    """An open MLflow run; observes a training and logs its results.

    Args:
        client: The store.
        run_id: The open run.
        folder: Of this run on this machine: its outbox and the state of its training.
        sender: Sends what is in the outbox.
        outbox: What there is to send.
        known: What the run had logged before this process took it.
    """

    def __init__(
        self,
        client: mlflow.MlflowClient,
        run_id: str,
        folder: Path,
        outbox: Outbox,
        sender: Sender,
        known: "KnownFacts",
    ) -> None:
        self.client, self.run_id = client, run_id
        self.state_folder = folder / "state"
        self._package = folder / "package"
        self._outbox, self._sender, self._known = outbox, sender, known
        self._moments: dict[int, int] = {}

    def log_experiment(self, experiment: Experiment) -> None:
        """Log the settings, flattened, and the YAML that gives them back.

        The YAML is sent at once: without it, nobody could go on with the run.
        """
        with store_errors():
            self.client.log_text(self.run_id, experiment.to_yaml(), EXPERIMENT_FILE)
        settings = {key: str(value) for key, value in experiment.flatten().items()}
        known = self._known.params
        # MLflow never changes a parameter: what a resumption has changed is told in tags.
        new = {key: text for key, text in settings.items() if key not in known}
        changed = {
            f"{SETTING_TAG}{key}": text
            for key, text in settings.items()
            if known.get(key, text) != text
        }
        add_batch(self._outbox, params=new, tags=changed)

    def log_provenance(self, precision: str) -> None:
        """Log code, packages, machine and arithmetic: those of the process that has the run.

        Args:
            precision: Of training, already decided.
        """
        code = read_code()
        add_batch(self._outbox, tags={**describe_environment(precision), **code.tags()})
        if code.diff:
            self._put_text(code.diff, DIFF_FILE)

    def log_dataset(self, dataset: Dataset, settings: DatasetSettings) -> None:
        """Log each split as a dataset input: its pairs and the dataset's digest; and every file's.

        Args:
            dataset: What is trained or scored on.
            settings: How its masks are read.
        """
        self._put_text(digest_files(dataset, settings).to_csv(index=False), DATA_FILE)
        add_batch(self._outbox, tags={DATA_DIGEST_TAG: dataset.digest})
        inputs = []
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
                    name=f"{dataset.name}/{split}",
                    digest=dataset.digest,
                )
            tags = {"mlflow.data.context": split, "split_drawn": str(dataset.drawn)}
            entity = pairs._to_mlflow_entity()
            inputs.append({"dataset": entity.to_dictionary(), "tags": tags})
        self._outbox.add("inputs", {"inputs": inputs})

    def on_batch_end(
        self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]
    ) -> None:
        """Nothing is logged, but a run that is lost ends its training.

        Raises:
            TrackingError: Another process has taken the run, or the store refuses it.
        """
        self._sender.check()

    def on_epoch_end(self, report: EpochReport) -> None:
        """Log an epoch's metrics with the epoch as step."""
        self._log_metrics(report.metrics, report.epoch)

    def on_saved(self, saved: SavedTraining) -> None:
        """Log the state, and the network of an epoch that is among the best."""
        if not saved.batch and saved.epoch in saved.best:
            self._log_checkpoint(saved)
        content = {"epoch": saved.epoch, "batch": saved.batch}
        with self._outbox.put("state", content, replaces="state") as files:
            for path in (saved.network, saved.state):
                _link(path, files / path.name)

    def on_epoch_masks(self, picture: EpochPicture) -> None:
        """Log an epoch-change mask with the epoch as step."""
        if (picture.stem, picture.mode, picture.epoch) in self._known.pictures:
            return
        several = picture.labels > 2
        pixels = paint(picture.mask, picture.labels) if several else picture.mask * np.uint8(255)
        name = epoch_picture_name(picture.stem, picture.mode, picture.epoch, _now())
        with self._outbox.put("files", {"folder": EPOCH_PICTURES_FOLDER}) as files:
            write_image(files / f"{name}.png", pixels)
            small = Image.fromarray(pixels)
            small.thumbnail((_THUMBNAIL, _THUMBNAIL))
            small.convert("RGB").save(files / f"{name}+compressed.webp")
        add_batch(self._outbox, tags={"mlflow.loggedImages": "True"})

    def log_history(self, training: "Training") -> None:
        """Log the curves as CSV and PNG, every rate, which epoch was best, how long it all took."""
        history, best_epoch = training.history, training.best_epoch
        with self._outbox.put("files", {"folder": CURVES_FOLDER}) as files:
            (files / Path(HISTORY_FILE).name).write_text(history.to_csv(index=False))
            (files / Path(RATES_FILE).name).write_text(tabulate_rates(training.rates))
            save_figure(learning_curves(history, best_epoch), files / CURVES_PICTURE)
        self._log_metrics({"best_epoch": best_epoch, "training_seconds": training.seconds})

    def log_threshold(self, threshold: float) -> None:
        """Log the threshold that was chosen on validation images."""
        self._log_metrics({THRESHOLD: threshold})

    def log_evaluation(
        self, evaluation: ImageEvaluation, *, with_image: bool, with_sheet: bool
    ) -> None:
        """Log one image's predictions, and its picture, target and comparison sheet if asked."""
        split, stem = evaluation.split, evaluation.sample.stem
        with self._outbox.put("files", {"folder": ""}) as files:
            predictions = files / PREDICTIONS_FOLDER / split
            for mode, probability in evaluation.probabilities.items():
                path = predictions / mode / f"{stem}.png"
                if probability.shape[2] == 1:
                    write_probability(path, probability[..., 0])
                else:
                    write_labels(path, labels_of(probability), len(evaluation.classes))
            if evaluation.grid is not None:
                grid = evaluation.grid
                seams = {"rows": grid.seam_rows, "columns": grid.seam_columns}
                _write_text(files / grid_file(split, stem), json.dumps(seams))
            if with_image:
                _copy_image(evaluation, predictions)
            if with_sheet:
                sheet = files / COMPARISON_FOLDER / split / f"{stem}.png"
                sheet.parent.mkdir(parents=True)
                save_figure(comparison_sheet(evaluation), sheet)

    def log_scores(self, table: pd.DataFrame, metrics: Mapping[str, float]) -> None:
        """Log one row per image and mode as a table, and the final metrics."""
        with self._outbox.put("files", {"folder": ""}) as files:
            (files / SCORES_TABLE_FILE).write_text(table.to_json(orient="split", index=False))
            (files / SCORES_FILE).write_text(table.to_csv(index=False), encoding="utf-8")
        shown = [{"path": SCORES_TABLE_FILE, "type": "table"}]
        add_batch(self._outbox, tags={"mlflow.loggedArtifacts": json.dumps(shown)})
        self._log_metrics(metrics)

    def log_registration(
        self, predictor: "Predictor", best_epoch: int, name: str, score: float
    ) -> None:
        """Write what was decided into the best checkpoint, and register it.

        Args:
            predictor: With its threshold and settings.
            best_epoch: Whose network is registered.
            name: Of the registered model; empty to register nothing.
            score: ``valid/tiled/dice``.
        """
        tags = {
            THRESHOLD_TAG: f"{predictor.threshold:.6f}",
            TILING_TAG: predictor.experiment.tiling.mode,
        }
        content = {"epoch": best_epoch, "name": name, "score": score, "tags": tags}
        with self._outbox.put("register", content) as files:
            place = files / PREDICTOR_FOLDER
            place.mkdir(parents=True)
            predictor.save_settings(place)

    def log_inherited(self, predictor: "Predictor", epoch: int) -> None:
        """Log the best network where it is one of the run that this one goes on from."""
        content = {"epoch": epoch, "best": [epoch], "metrics": [], "is_alone": True}
        self._put_package(content, predictor.save)

    def _log_checkpoint(self, saved: SavedTraining) -> None:
        moment = self._moments.get(saved.epoch, _now())
        # MLflow writes a model's metrics into the run as well: the same value and moment as in
        # the run's curve, or the curve would have the epoch twice.
        metrics = [
            (key, *self._known.metrics.get((key, saved.epoch), (value, moment)), saved.epoch)
            for key, value in saved.metrics.items()
            if key != "epoch" and np.isfinite(value)
        ]
        content = {"epoch": saved.epoch, "best": list(saved.best), "metrics": metrics}
        self._put_package(content, saved.save_predictor)

    def _put_package(self, content: Mapping[str, Any], save: Callable[[Path], None]) -> None:
        if not self._package.is_dir():
            make_package(self._package)
        with self._outbox.put("checkpoint", content) as files:
            shutil.copytree(self._package, files, copy_function=_link, dirs_exist_ok=True)
            # MLflow's own file is written anew for each model, which must not reach the package.
            for path in files.glob("*"):
                if path.is_file():
                    path.unlink()
                    shutil.copyfile(self._package / path.name, path)
            save(files / PREDICTOR_FOLDER)

    def _log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        moment = _now()
        self._moments[step] = moment
        new = [
            (key, float(value), moment, step)
            for key, value in metrics.items()
            if not self._known.has(key, step, float(value))
        ]
        add_batch(self._outbox, metrics=new)

    def _put_text(self, text: str, name: str) -> None:
        with self._outbox.put("files", {"folder": ""}) as files:
            _write_text(files / name, text)


class KnownFacts:
    """What a run has logged before: an epoch that is trained again is not logged again.

    Args:
        metrics: Value, and its moment in milliseconds since 1970, by key and step.
        pictures: Stem, mode and epoch of each epoch-change mask.
        params: Values by key.
    """

    def __init__(
        self,
        metrics: Mapping[tuple[str, int], tuple[float, int]] | None = None,
        pictures: frozenset[tuple[str, str, int]] = frozenset(),
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.metrics, self.pictures, self.params = metrics or {}, pictures, params or {}

    @classmethod
    def read(cls, client: mlflow.MlflowClient, run_id: str) -> "KnownFacts":
        """Ask the store."""
        data = client.get_run(run_id).data
        metrics = {
            (key, each.step): (each.value, each.timestamp)
            for key in data.metrics
            for each in client.get_metric_history(run_id, key)
        }
        found = RunFiles(run_id).epoch_pictures()
        pictures = frozenset(
            (stem, mode, epoch) for (stem, mode), epochs in found.items() for epoch in epochs
        )
        return cls(metrics, pictures, data.params)

    def has(self, key: str, step: int, value: float) -> bool:
        """Whether a metric is there: of an epoch any value, of the whole run the same."""
        known = self.metrics.get((key, step))
        return known is not None and (step > 0 or known[0] == value)


@contextmanager
def open_run(
    experiment: Experiment,
    kind: str,
    *,
    resume: str | None = None,
    parent: str = "",
    reproduces: str = "",
) -> Iterator[TrackedRun]:
    """Open a run in the MLflow experiment named after the dataset, and close it whatever happens.

    It ends FINISHED, FAILED when an error left the block, or KILLED when the user or the
    system ended the program. Started by ``mlflow run``, the project's own run is used where
    it lies in the right experiment, and points to the real one otherwise.

    Args:
        experiment: Its dataset's name is the MLflow experiment's.
        kind: ``train`` or ``evaluate``, kept as a tag.
        resume: Id of a run to open again.
        parent: Id of the finished run that this one goes on from.
        reproduces: Id of the run that this one repeats.

    Raises:
        TrackingError: The store does not answer, there is no run of that id, or another process
            has it.
        StoreAwayError: All is done but for what the store has not taken yet.
    """
    client = connect()
    name = experiment.dataset.name
    with store_errors():
        if resume and client.get_run(resume).info.status == "FINISHED":
            raise TrackingError(
                f"run {resume} is FINISHED and stays as it is; `tiledseg train --resume {resume} "
                "--set training.epochs=N` goes on with its training in a new run"
            )
        origins = {RESUMED_TAG: parent, REPRODUCES_TAG: reproduces}
        tags = {tag: origin for tag, origin in origins.items() if origin}
        run_id = resume or make_or_take_run(client, name, kind, tags)
        ownership = Ownership(client, run_id)
        if resume:
            forget_error(client, resume)
            point_launcher_to(client, resume, name)
            client.update_run(resume, "RUNNING")
        known = KnownFacts.read(client, run_id) if resume else KnownFacts()
    try:
        folder = run_folder(run_id)
        outbox = Outbox(folder / "outbox")
    except OutputError as error:  # nothing can be kept here, so the store is told at once
        with store_errors():
            client.set_tag(run_id, ERROR_TAG, str(error)[:5000])
            client.set_terminated(run_id, "FAILED")
            ownership.release()
        raise
    sender = Sender(outbox, lambda entry: deliver(client, run_id, entry), ownership.renew)
    sender.start()
    status, reason = "FAILED", ""
    try:
        yield TrackedRun(client, run_id, folder, outbox, sender, known)
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit, StoppedError):
        status = "KILLED"
        raise
    except LostRunError:
        status = ""
        raise
    except Exception as problem:
        reason = str(problem) or type(problem).__name__
        raise
    finally:
        end = {"status": status, "error": reason, "moment": _now()}
        try:
            if status:
                _put_end(client, run_id, outbox, sender, end)
            _close(run_id, folder, sender, ownership, status)
        finally:
            sender.stop()


def _put_end(
    client: mlflow.MlflowClient,
    run_id: str,
    outbox: Outbox,
    sender: Sender,
    end: Mapping[str, Any],
) -> None:
    """Have the store told how the run ended; at once where the disk has no room for a note."""
    try:
        outbox.add("end", end)
    except OutputError:
        with suppress(TrackingError), store_errors():
            if sender.drain(PATIENCE_SECONDS / 6):
                deliver(client, run_id, Entry(outbox.folder, "end", end))


def _close(run_id: str, folder: Path, sender: Sender, ownership: Ownership, status: str) -> None:
    """Wait until all is sent; what is left stays for ``tiledseg sync``.

    Raises:
        StoreAwayError: The store does not take the end of a run that ended well.
    """
    if not status:
        return
    try:
        is_sent = sender.drain(PATIENCE_SECONDS if status == "FINISHED" else PATIENCE_SECONDS / 6)
    except LostRunError:
        if status == "FINISHED":
            raise
        return
    except (MlflowException, SQLAlchemyError, OSError):
        with store_errors():
            if status == "FINISHED":
                raise
        return
    if is_sent:
        with store_errors():
            ownership.release()
        shutil.rmtree(folder if status == "FINISHED" else folder / "package", ignore_errors=True)
        return
    left = (
        f"run {run_id} ended {status}, but the MLflow store {store_address()} does not answer; "
        f"what is left to send is kept in {folder}: `tiledseg sync {run_id}` sends it"
    )
    if status == "FINISHED":
        raise StoreAwayError(left)
    logger.warning("%s", left)


def state_home() -> Path:
    """Where runs keep their files until they have ended well: ``TILEDSEG_STATE``, or the user's."""
    return Path(os.environ.get("TILEDSEG_STATE") or platformdirs.user_state_dir("tiledseg"))


def run_folder(run_id: str) -> Path:
    """A run's folder on this machine, made where it is missing.

    Raises:
        OutputError: It cannot be made.
    """
    folder = state_home() / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: checkpoints cannot be written there ({error.strerror}); set "
            "TILEDSEG_STATE to a folder that can be written"
        ) from error
    return folder


def read_experiment(run_id: str) -> Experiment:
    """The experiment that a run was made with.

    Raises:
        TrackingError: There is no such run, or it was not made by tiledseg.
        FormatError: Another version of tiledseg made it, in another format.
    """
    client = connect()
    with store_errors():
        tags = client.get_run(run_id).data.tags
        files = [item.path for item in client.list_artifacts(run_id)]
        if EXPERIMENT_FILE not in files:
            raise TrackingError(
                f"run {run_id} holds no {EXPERIMENT_FILE}: it ended before its settings were "
                "logged, or tiledseg did not make it; start a new training"
            )
        text = mlflow.artifacts.load_text(f"runs:/{run_id}/{EXPERIMENT_FILE}")
    require_format(tags.get(FORMAT_TAG), f"run {run_id}")
    return parse_experiment(text, f"run {run_id}")


def _copy_image(evaluation: ImageEvaluation, predictions: Path) -> None:
    """The image and its target, named like its masks, whatever ``dataset.image_suffix`` is."""
    image, stem = evaluation.sample.image, evaluation.sample.stem
    folder = predictions / IMAGE_LAYER
    folder.mkdir(parents=True, exist_ok=True)
    if image.is_file():
        shutil.copyfile(image, folder / f"{stem}{image.suffix}")
    else:  # a store is a folder of many files
        write_image(folder / f"{stem}.png", read_image(image))
    path = predictions / TARGET_LAYER / f"{stem}.png"
    if (evaluation.target > 1).any() or len(evaluation.classes) > 2:
        write_labels(path, evaluation.target, len(evaluation.classes))
    else:
        write_mask(path, evaluation.target)


def _link(source: Path | str, target: Path | str) -> None:
    """The same bytes under another name; a copy where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _now() -> int:
    """Milliseconds since 1970, as MLflow counts them."""
    return time.time_ns() // 1_000_000
