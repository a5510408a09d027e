"""What tests of runs that survive share: a training of seconds, and how it is looked at."""

import subprocess
from pathlib import Path
from typing import Any

import mlflow

from tiledseg.config.experiment import Experiment

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


def write_experiment(folder: Path, experiment: Experiment) -> Path:
    """An experiment file with ``SETTINGS``."""
    path = folder / "Tiny.yaml"
    path.write_text(experiment.override(SETTINGS).to_yaml())
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
