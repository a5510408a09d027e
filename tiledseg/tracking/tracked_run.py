"""A run as a training sees it: what is logged, and under which names."""

# ruff: noqa: ARG002 - an observer gets more than this one needs

import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from PIL import Image

from tiledseg.config import DatasetSettings
from tiledseg.config.experiment import Experiment
from tiledseg.data.dataset import Dataset
from tiledseg.errors import OutputError, is_disk_full
from tiledseg.evaluation.evaluate import ImageEvaluation
from tiledseg.evaluation.figures import learning_curves, save_figure
from tiledseg.images.atomic import give_names
from tiledseg.images.writing import write_image
from tiledseg.masks.classes import paint
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.delivery import add_batch
from tiledseg.tracking.evaluation_files import write_evaluation
from tiledseg.tracking.files import epoch_picture_name
from tiledseg.tracking.known_facts import KnownFacts
from tiledseg.tracking.names import (
    CURVES_FOLDER,
    CURVES_PICTURE,
    DATA_DIGEST_TAG,
    DATA_FILE,
    DIFF_FILE,
    EPOCH_PICTURES_FOLDER,
    EXPERIMENT_FILE,
    HISTORY_FILE,
    RATES_FILE,
    SCORES_FILE,
    SCORES_TABLE_FILE,
    SETTING_TAG,
    THRESHOLD,
    THRESHOLD_TAG,
    TILING_TAG,
    TIMINGS_TAG,
)
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.packaging import PREDICTOR_FOLDER, make_package
from tiledseg.tracking.provenance import describe_environment, digest_files
from tiledseg.tracking.revision import read_code
from tiledseg.tracking.run_folder import cannot_keep, keep_text
from tiledseg.tracking.store import reason_of, store_errors
from tiledseg.training.observer import EpochPicture, EpochReport
from tiledseg.training.replay import tabulate_rates
from tiledseg.training.session import STATE_FILE, SavedTraining

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Predictor
    from tiledseg.training.arithmetic import ChosenArithmetic
    from tiledseg.training.fit import Training

_THUMBNAIL = 256
"""Longest side of the small copies of pictures, in pixels; MLflow's pages show them in grids."""


class TrackedRun:
    """An open MLflow run; observes a training and logs its results.

    Args:
        client: The store; None for a run without one, see ``offline``.
        run_id: The open run.
        folder: Of this run on this machine: its outbox and the state of its training.
        outbox: What there is to send.
        check: Raises what ended the sending, if something did.
        known: What the run had logged before this process took it.
    """

    def __init__(
        self,
        client: mlflow.MlflowClient | None,
        run_id: str,
        folder: Path,
        outbox: Outbox,
        check: Callable[[], None],
        known: KnownFacts,
    ) -> None:
        self.client, self.run_id = client, run_id
        self.state_folder = folder / "state"
        self.model_folder = folder / "model"
        """Of a run without a store: the network that would be registered."""
        self._folder, self._package = folder, folder / "package"
        self._outbox, self._check, self._known = outbox, check, known
        self._moments: dict[int, int] = {}
        self._has_pictures = bool(known.pictures)

    def log_experiment(self, experiment: Experiment) -> None:
        """Log the settings, flattened, and the YAML that gives them back.

        The YAML is sent at once: without it, nobody could go on with the run.
        """
        text = experiment.to_yaml()
        if self.client is None:
            keep_text(self._folder / EXPERIMENT_FILE, text)
            self._put_text(text, EXPERIMENT_FILE)
        else:
            with store_errors():
                self.client.log_text(self.run_id, text, EXPERIMENT_FILE)
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

    def log_provenance(self, chosen: "ChosenArithmetic | None") -> None:
        """Log code, packages, machine and arithmetic: those of the process that has the run.

        Args:
            chosen: The arithmetic of a training, and what was timed; None where nothing is trained.
        """
        code = read_code()
        environment = describe_environment(str(chosen.arithmetic) if chosen else "float32")
        timings = {TIMINGS_TAG: chosen.describe()} if chosen and chosen.timed else {}
        add_batch(self._outbox, tags={**environment, **timings, **code.tags()})
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
        self._check()

    def on_epoch_end(self, report: EpochReport) -> None:
        """Log an epoch's metrics with the epoch as step."""
        self._log_metrics(report.metrics, report.epoch)

    def on_saved(self, saved: SavedTraining) -> None:
        """Log the state, and the network of an epoch that is among the best."""
        if not saved.batch and saved.epoch in saved.best:
            self._log_checkpoint(saved)
        content = {"epoch": saved.epoch, "batch": saved.batch}
        with self._outbox.put("state", content, replaces="state") as files:
            _link(saved.network, files / saved.network.name)
            _link(saved.state, files / STATE_FILE)

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
        if not self._has_pictures:  # MLflow's pages look for them where this is set
            add_batch(self._outbox, tags={"mlflow.loggedImages": "True"})
            self._has_pictures = True

    def log_history(self, training: "Training") -> None:
        """Log the curves as CSV and PNG, every rate, which epoch was best, how long it all took."""
        history, best_epoch = training.history, training.best_epoch
        with self._outbox.put("files", {"folder": CURVES_FOLDER}) as files:
            _write_text(files / Path(HISTORY_FILE).name, history.to_csv(index=False))
            _write_text(files / Path(RATES_FILE).name, tabulate_rates(training.rates))
            save_figure(learning_curves(history, best_epoch), files / CURVES_PICTURE)
        self._log_metrics({"best_epoch": best_epoch, "training_seconds": training.seconds})

    def log_threshold(self, threshold: float) -> None:
        """Log the threshold that was chosen on validation images."""
        self._log_metrics({THRESHOLD: threshold})

    def log_evaluation(
        self, evaluation: ImageEvaluation, *, with_image: bool, with_sheet: bool
    ) -> None:
        """Log one image's predictions, and its picture, target and comparison sheet if asked."""
        with self._outbox.put("files", {"folder": ""}) as files:
            write_evaluation(files, evaluation, with_image=with_image, with_sheet=with_sheet)

    def log_scores(self, table: pd.DataFrame, metrics: Mapping[str, float]) -> None:
        """Log one row per image and mode as a table, empty where undefined; and final metrics."""
        with self._outbox.put("files", {"folder": ""}) as files:
            _write_text(files / SCORES_TABLE_FILE, table.to_json(orient="split", index=False))
            _write_text(files / SCORES_FILE, table.to_csv(index=False))
        shown = [{"path": SCORES_TABLE_FILE, "type": "table"}]
        add_batch(self._outbox, tags={"mlflow.loggedArtifacts": json.dumps(shown)})
        self._log_metrics(metrics)

    def log_registration(
        self, predictor: "Predictor", best_epoch: int, name: str, score: ValidationScore
    ) -> None:
        """Write what was decided into the best checkpoint, and register it.

        Args:
            predictor: With its threshold and settings.
            best_epoch: Whose network is registered.
            name: Of the registered model; empty to register nothing.
            score: What it is compared by with other versions.
        """
        tags = {
            THRESHOLD_TAG: f"{predictor.threshold:.6f}",
            TILING_TAG: predictor.experiment.tiling.mode,
        }
        content = {"epoch": best_epoch, "name": name, "score": asdict(score), "tags": tags}
        with self._outbox.put("register", content) as files:
            place = files / PREDICTOR_FOLDER
            place.mkdir(parents=True)
            predictor.save_settings(place)
        if self.client is None:
            self.model_folder.mkdir(exist_ok=True)
            predictor.save(self.model_folder)

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
            self._make_package()
        with self._outbox.put("checkpoint", content) as files:
            shutil.copytree(self._package, files, dirs_exist_ok=True)
            save(files / PREDICTOR_FOLDER)

    def _make_package(self) -> None:
        draft = self._package.with_name("package-draft")
        try:
            shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
            make_package(draft)
            give_names([(draft, self._package)])
        except OSError as error:
            raise cannot_keep(self._package, error) from None
        except MlflowException as error:  # it copies by way of a temporary folder
            if not is_disk_full(error):
                raise
            raise OutputError(
                f"{self._package}: cannot be written ({reason_of(error)}); make room there and in "
                f"{tempfile.gettempdir()}, or point TILEDSEG_STATE and TMPDIR elsewhere"
            ) from None

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


def _link(source: Path | str, target: Path | str) -> None:
    """The same bytes under another name; a copy where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _now() -> int:
    """Milliseconds since 1970, as MLflow counts them."""
    return time.time_ns() // 1_000_000
