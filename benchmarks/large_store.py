"""A store of many runs, written in seconds: one run of each kind, and copies with noise.

Used by ``dashboard_store.py``. MLflow itself writes the patterns; the copies are rows of its
database, because a thousand runs through its client take minutes.
"""

import json
import math
import os
import random
import sqlite3
import time
import uuid
from pathlib import Path

import cv2
import mlflow
import numpy as np
from mlflow.entities import Metric, Param

from tiledseg.config.experiment import load_experiment
from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.data.synthetic.smear import draw_smear
from tiledseg.images.writing import write_image, write_mask, write_probability
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.names import (
    CHAMPION,
    EPOCH_PICTURES_FOLDER,
    EPOCHS_KEY,
    FORMAT_TAG,
    KIND_TAG,
    OUTCOME_TAG,
    PARENT_TAG,
    PREDICTIONS_FOLDER,
    SCORES_FILE,
    STUDY_TAG,
    TRIAL_TAG,
    final_metric,
    images_metric,
    predictions_folder,
)

PATTERN = Path(__file__).resolve().parents[1] / "experiments" / "Synthetic-Cell.yaml"
DATASETS = 5
STUDIES = 2
"""Of each dataset."""
VERSIONS = 10
"""Of each registered model."""
MINUTE = 60_000
CURVES = ("loss", "val_loss", "dice", "val_dice", "dice_coef", "val_dice_coef", "learning_rate")
SCORES = ("dice", "iou", "precision", "recall", "accuracy", "seconds_per_megapixel")
NOISE = {"value": "value + (random() % 1000) / 2e4"}
COPIES = {
    "runs": {
        "name": ":name",
        "start_time": ":start",
        "end_time": f":start + {MINUTE}",
        "artifact_uri": "replace(artifact_uri, :pattern, :run)",
    },
    "tags": {"value": "CASE key WHEN 'tiledseg.trial' THEN :number ELSE value END"},
    "params": {
        "value": "CASE key WHEN 'model.base_filters' THEN :filters "
        "WHEN 'training.learning_rate' THEN :rate ELSE value END"
    },
    "metrics": NOISE,
    "latest_metrics": NOISE,
}
"""Table to what is different in a copy, as SQL."""


def write_runs(folder: Path, runs: int, epochs: int) -> str:
    """Fill the database that MLflow is pointed to.

    Args:
        folder: Where the artifacts are to lie.
        runs: How many, spread evenly over the datasets; a fifth of them trainings, the rest
            trials of studies.
        epochs: Points of each curve.

    Returns:
        The first dataset's champion, which is the newest training.
    """
    client = mlflow.MlflowClient()
    database = folder / "mlflow.db"
    champions = []
    for number in range(DATASETS):
        began = int(time.time() * 1000) - (runs + number) * MINUTE
        name = f"Cells-{number}"
        experiment = client.create_experiment(name, (folder / "mlruns" / name).as_uri())
        own = runs // DATASETS
        training = _pattern(client, experiment, "train", epochs, began)
        trainings = [training, *_copies(database, training, own // 5 - 1, began, "train")]
        for study in range(STUDIES):
            parent = client.create_run(
                experiment,
                began,
                {
                    FORMAT_TAG: str(FORMAT_VERSION),
                    KIND_TAG: "sweep",
                    STUDY_TAG: f"study {study}",
                },
                f"{name} study {study}",
            ).info.run_id
            client.set_terminated(parent, end_time=began + 60 * MINUTE)
            trial = _pattern(client, experiment, "trial", epochs, began, parent)
            _copies(database, trial, own * 4 // 5 // STUDIES - 2, began, f"study {study}")
        client.create_registered_model(name)
        newest = trainings[-VERSIONS:]
        for version, run in enumerate(newest, start=1):
            score = ValidationScore(0.9 + version / 1000, 2, ("foreground",))
            client.create_model_version(name, str(folder), run, tags=score.tags())
        client.set_registered_model_alias(name, CHAMPION, str(len(newest)))
        champions.append(newest[-1])
    return champions[0]


def write_pictures(run_id: str, images: int, side: int, epochs: int) -> None:
    """Give a run predictions of both splits with their scores, and masks of its epochs."""
    run = mlflow.MlflowClient().get_run(run_id)
    root = Path(run.info.artifact_uri.removeprefix("file://"))
    picture, target = draw_smear(137, side)
    pattern = root / PREDICTIONS_FOLDER / "pattern"
    _write_predictions(pattern, picture, target)
    rows = ["split,image,mode,dice,iou"]
    for split, count in (("test", images), ("valid", 2)):
        for number in range(count):
            stem = f"field_{number:03d}"
            for file in pattern.iterdir():  # another name is another picture to the dashboard
                place = root / predictions_folder(split, file.stem)
                place.mkdir(parents=True, exist_ok=True)
                os.link(file, place / f"{stem}{file.suffix}")
            scores = [(mode, 0.9 + number / 1000) for mode in ("tiled", "resized")]
            rows += [f"{split},{stem},{mode},{dice},{dice - 0.1}" for mode, dice in scores]
    (root / SCORES_FILE).write_text("\n".join(rows) + "\n")
    (root / EPOCH_PICTURES_FOLDER).mkdir(exist_ok=True)
    for epoch in range(1, epochs + 1):
        for mode in ("tiled", "resized"):
            name = f"{EPOCHS_KEY}~field_000~{mode}+step+{epoch}+0+{uuid.uuid4()}.png"
            os.link(pattern / "target.png", root / EPOCH_PICTURES_FOLDER / name)


def _write_predictions(folder: Path, image: np.ndarray, target: np.ndarray) -> None:
    folder.mkdir(parents=True)
    soft = cv2.GaussianBlur(target.astype(np.float32), (0, 0), 1.5)
    write_image(folder / "image.jpg", image)
    write_mask(folder / "target.png", target)
    write_probability(folder / "tiled.png", soft)
    write_probability(folder / "resized.png", np.roll(soft, 3, 1))
    middle = target.shape[0] // 2
    seams = {"rows": [middle], "columns": [middle]}
    (folder / "grid.json").write_text(json.dumps(seams))


def _pattern(
    client: mlflow.MlflowClient,
    experiment: str,
    kind: str,
    epochs: int,
    began: int,
    parent: str = "",
) -> str:
    """A run as a training leaves it."""
    tags = {
        FORMAT_TAG: str(FORMAT_VERSION),
        KIND_TAG: kind,
        TRIAL_TAG: "0",
        OUTCOME_TAG: "complete",
    }
    if parent:
        tags[PARENT_TAG] = parent
    run = client.create_run(experiment, began, tags, f"{kind} 0").info.run_id
    settings = load_experiment(PATTERN).flatten()
    client.log_batch(run, params=[Param(key, str(value)[:6000]) for key, value in settings.items()])
    points = [
        Metric(name, 1 - math.exp(-epoch / 9), began + epoch * 1000, epoch)
        for name in CURVES
        for epoch in range(1, epochs + 1)
    ]
    names = [
        final_metric(split, mode, score)
        for split in ("valid", "test")
        for mode in ("tiled", "resized")
        for score in SCORES
    ]
    figures = {**dict.fromkeys(names, 0.9), **dict.fromkeys(map(images_metric, names), 2.0)}
    final = [Metric(name, value, began + 50_000, epochs) for name, value in figures.items()]
    final.append(Metric("best_epoch", epochs, began + 50_000, epochs))
    client.log_batch(run, metrics=[*points, *final])
    client.set_terminated(run, end_time=began + MINUTE)
    return str(run)


def _copies(database: Path, pattern: str, count: int, began: int, name: str) -> list[str]:
    """Runs like another one, minutes apart, with other numbers."""
    made = [uuid.uuid4().hex for _ in range(count)]
    store = sqlite3.connect(database)
    with store:
        for number, run in enumerate(made, start=1):
            values = {
                "pattern": pattern,
                "run": run,
                "name": f"{name} {number}",
                "start": began + number * MINUTE,
                "number": str(number),
                "filters": random.choice(("8", "16", "32")),
                "rate": f"{10 ** random.uniform(-4, -2):.3g}",
            }
            for table, changes in COPIES.items():
                columns = [str(row[1]) for row in store.execute(f"PRAGMA table_info({table})")]
                chosen = {"run_uuid": ":run", **changes}
                shown = ", ".join(chosen.get(column, column) for column in columns)
                store.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {shown} FROM {table} "
                    "WHERE run_uuid = :pattern",
                    values,
                )
    store.close()
    return made
