"""A small store with everything in it, made by the package itself.

    python make_store.py FOLDER

Two trained versions of a model on images of discs, of which the worse one is champion; a study
with its trials; a run that is open. The environment is the caller's.
"""

import json
import math
import random
import sys
import time
from pathlib import Path

import cv2
import mlflow
import numpy as np
from mlflow.entities import Metric, Param

from tiledseg import train
from tiledseg.config.experiment import Experiment
from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.images.writing import write_image, write_mask

NAME = "Discs"
SIDE = 1100
SPLITS = {"train": 2, "valid": 2, "test": 2}


def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Dark discs on a bright, uneven ground (SIDE, SIDE, 3), and their mask."""
    rng = np.random.default_rng(number)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(40):
        x, y = rng.integers(0, SIDE, 2).tolist()
        cv2.circle(mask, (x, y), int(rng.integers(18, 60)), 1, cv2.FILLED)
    light = np.linspace(0, 25, SIDE)[:, None, None] + rng.normal(0, 6, (SIDE, SIDE, 3))
    ink = np.where(mask[..., None] > 0, [95, 50, 140], [215, 195, 205])
    return np.clip(ink + light, 0, 255).astype(np.uint8), mask > 0


def write_images(root: Path) -> None:
    """ROOT/NAME/SPLIT/{images,masks}."""
    number = 0
    for split, count in SPLITS.items():
        for _ in range(count):
            image, mask = draw(number)
            write_image(root / NAME / split / "images" / f"disc {number}.png", image)
            write_mask(root / NAME / split / "masks" / f"disc {number}.png", mask)
            number += 1


def experiment(**training: float) -> Experiment:
    """Settings that learn discs in seconds."""
    return Experiment.model_validate(
        {
            "dataset": {"name": NAME},
            "image": {"size": 64},
            "model": {"base_filters": 4, "num_layers": 3, "dropout_rate": 0.0},
            "training": {
                "foreground_fraction": 0.3,
                "batch_size": 4,
                "validation_tiles": 8,
                "warmup_steps": 5,
                "workers": 0,
                **training,
            },
            "tiling": {"max_tile": 512},
            "evaluation": {"comparison_images": 0, "seam_images": 0},
        }
    )


def add_study(client: mlflow.MlflowClient, experiment_id: str) -> None:
    """A study of twelve trials as ``tiledseg.tracking.sweeps`` keeps them; one was pruned."""
    rng, now = random.Random(4), int(time.time() * 1000) - 10**7
    tags = {
        "tiledseg.format": str(FORMAT_VERSION),
        "tiledseg.kind": "sweep",
        "tiledseg.study": "filters",
        "mlflow.runName": "filters",
    }
    parent = client.create_run(experiment_id, start_time=now, tags=tags).info.run_id
    for number in range(12):
        filters, rate = rng.choice([4, 8, 16, 32]), 10 ** rng.uniform(-4, -2)
        score = 0.9 - 0.05 * (math.log10(rate) + 3) ** 2 - 0.1 * math.exp(-filters / 8)
        tags = {
            "mlflow.parentRunId": parent,
            "tiledseg.format": str(FORMAT_VERSION),
            "tiledseg.kind": "trial",
            "tiledseg.trial": str(number),
            "tiledseg.outcome": "pruned" if number == 5 else "complete",
        }
        start = now + number * 60_000
        run = client.create_run(experiment_id, start, tags, f"filters {number:03d}").info.run_id
        metrics = {"val_dice": score - 0.02}
        if number != 5:
            seconds = 0.01 * filters
            metrics |= {"valid/tiled/dice": score, "valid/tiled/seconds_per_megapixel": seconds}
        client.log_batch(
            run,
            params=[
                Param("model.base_filters", str(filters)),
                Param("training.learning_rate", f"{rate:.6g}"),
                Param("model.num_layers", "3"),
            ],
            metrics=[Metric(name, value, start, 1) for name, value in metrics.items()],
        )
        client.set_terminated(run, "FINISHED", start + 50_000)
    client.set_terminated(parent, "FINISHED", now + 800_000)


def add_open_run(client: mlflow.MlflowClient, experiment_id: str) -> None:
    """A training at its third epoch of ten."""
    run = client.create_run(
        experiment_id,
        tags={"tiledseg.format": str(FORMAT_VERSION), "tiledseg.kind": "train"},
        run_name="open",
    ).info.run_id
    now = int(time.time() * 1000)
    client.log_batch(
        run,
        params=[Param("training.epochs", "10")],
        metrics=[Metric("val_dice", 0.2 * epoch, now, epoch) for epoch in (1, 2, 3)],
    )


def main(folder: Path) -> None:
    """Make the store and say what is where."""
    write_images(folder / "data")
    good = train(experiment(epochs=4, steps_per_epoch=40, learning_rate=0.01))
    poor = train(experiment(epochs=1, steps_per_epoch=2, learning_rate=0.0005))
    client = mlflow.MlflowClient()
    experiment_id = client.get_experiment_by_name(NAME).experiment_id
    add_study(client, experiment_id)
    add_open_run(client, experiment_id)
    assert good.registration is not None and poor.registration is not None
    client.set_registered_model_alias(NAME, "champion", poor.registration.version)
    told = {"good": good.run_id, "poor": poor.run_id, "metrics": good.metrics}
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
