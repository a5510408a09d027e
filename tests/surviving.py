"""What tests of runs that survive share: a training of seconds, and how it is looked at."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow

from tiledseg.config.experiment import Experiment
from tiledseg.tracking.files import RunFiles

SETTINGS = {
    "image.size": 64,
    "model.base_filters": 4,
    "model.num_layers": 3,
    "model.dropout_rate": 0.1,
    "tiling.max_tile": 128,
    "training.epochs": 5,
    "training.steps_per_epoch": 8,
    "training.batch_size": 2,
    "training.epoch_pictures": 1,
    "training.hard_example_fraction": 0.3,
    "training.precision": "float32",
    "tracking.checkpoint_minutes": 0.02,
}


class Place:
    """A store, a dataset, and machines that reach both.

    Args:
        folder: Where commands work.
        dataset: Of the trainings.
        store: Variables that name it; this process uses it already.
    """

    def __init__(self, folder: Path, dataset: Path, store: Mapping[str, str]) -> None:
        self.folder, self.dataset, self._store = folder, dataset, store
        self.client = mlflow.MlflowClient()
        self._started: list[subprocess.Popen[str]] = []

    def environment(self, machine: str) -> dict[str, str]:
        """Variables of a machine, with folders of its own."""
        return {
            "TILEDSEG_DATA": str(self.dataset.parent),
            "TILEDSEG_CACHE": str(self.folder / machine / "cache"),
            "TILEDSEG_STATE": str(self.folder / machine / "state"),
            **self._store,
        }

    def start(self, *words: str, machine: str = "a") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tiledseg", *words],
            cwd=self.folder,
            env={**os.environ, **self.environment(machine)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A shell that started the tests in the background had Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        self._started.append(process)
        return process

    def stop(self) -> None:
        """End what a failed test left."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()

    def train(self, experiment: Path, **options: str) -> subprocess.Popen[str]:
        return self.start("train", "--experiment", str(experiment), **options)

    def resume(self, run_id: str, machine: str = "a") -> subprocess.Popen[str]:
        return self.start("train", "--resume", run_id, machine=machine)

    def runs(self):
        found = self.client.get_experiment_by_name("Tiny")
        return self.client.search_runs([found.experiment_id]) if found else []

    def only_run(self):
        (run,) = self.runs()
        return run

    def wait_for_epoch(self, epoch: int) -> str:
        """Wait until the store has an epoch's metrics; returns the run's id."""
        for _ in range(1200):
            for run in self.runs():
                steps = self.client.get_metric_history(run.info.run_id, "val_dice")
                if any(metric.step >= epoch for metric in steps):
                    return run.info.run_id
            time.sleep(0.1)
        raise AssertionError(f"epoch {epoch} never came")


def write_experiment(
    folder: Path, experiment: Experiment, settings: Mapping[str, Any] = SETTINGS
) -> Path:
    """An experiment file with other settings."""
    path = folder / "Tiny.yaml"
    path.write_text(experiment.override(settings).to_yaml())
    return path


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output
    return output


def curves(client: mlflow.MlflowClient, run_id: str) -> dict[str, list[tuple[int, Any]]]:
    """Step and value of each epoch's metrics, as often as they are there."""
    keys = ("loss", "val_loss", "dice_coef", "val_dice", "learning_rate")
    return {
        key: [(each.step, each.value) for each in client.get_metric_history(run_id, key)]
        for key in keys
    }


def assert_one_whole_run(place: Place, run_id: str, epochs: int = 5) -> None:
    """FINISHED, one version, every epoch once, every file once."""
    run = place.only_run()
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    versions = place.client.search_model_versions("name = 'Tiny'")
    assert [version.run_id for version in versions] == [run_id]
    for key, curve in curves(place.client, run_id).items():
        assert [step for step, _ in curve] == list(range(1, epochs + 1)), key
    for found in RunFiles(run_id).epoch_pictures().values():
        assert list(found) == list(range(1, epochs + 1))
    scores = RunFiles(run_id).path("scores.csv").read_text().splitlines()
    assert len(scores) == len(set(scores)) == 1 + 2 * (2 + 2)
    kept = place.client.search_logged_models(experiment_ids=[run.info.experiment_id])
    names = sorted(model.name for model in kept)
    assert len(names) == 4 and names.count("state") == 1, names
    assert all(str(model.status) == "READY" for model in kept)
