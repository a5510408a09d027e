"""A run with checkpoints, as a training leaves it, without the training."""

import time
from pathlib import Path

import keras
import mlflow
from logged_models import log_model
from mlflow.entities import Metric, Param, RunTag

from tiledseg.config.experiment import Experiment
from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking.names import DATA_FILE, EXPERIMENT_FILE, FORMAT_TAG, KIND_TAG
from tiledseg.tracking.provenance import digest_files


def make_predictors(experiment: Experiment, count: int = 2) -> list[Predictor]:
    """Networks that differ, untrained."""
    predictors = []
    for number in range(count):
        keras.utils.set_random_seed(number)
        model = build_model(experiment.model, experiment.image.channels)
        predictors.append(Predictor(model, experiment))
    return predictors


def make_run(
    experiment: Experiment,
    predictors: list[Predictor],
    status: str = "KILLED",
    root: Path | None = None,
) -> str:
    """A run on a dataset in ``root``, with a checkpoint of each network, from epoch 1."""
    client = mlflow.MlflowClient()
    name = experiment.dataset.name
    found = client.get_experiment_by_name(name)
    experiment_id = found.experiment_id if found else client.create_experiment(name)
    began = int(time.time() * 1000) - 10 * 86_400_000  # its age does not change in a test
    run_id = client.create_run(experiment_id, began, run_name="stopped").info.run_id
    tags = {FORMAT_TAG: str(FORMAT_VERSION), KIND_TAG: "train"}
    client.log_batch(
        run_id,
        params=[Param(key, str(value)) for key, value in experiment.flatten().items()],
        tags=[RunTag(key, text) for key, text in tags.items()],
    )
    client.log_text(run_id, experiment.to_yaml(), EXPERIMENT_FILE)
    dataset = load_dataset(experiment.dataset, root or data_root())
    table = digest_files(dataset, experiment.dataset)
    client.log_text(run_id, table.to_csv(index=False), DATA_FILE)
    for epoch, predictor in enumerate(predictors, 1):
        client.log_batch(run_id, [Metric("val_dice", 0.5 + 0.1 * epoch, epoch, epoch)])
        log_model(predictor, run_id, epoch)
    if status != "RUNNING":
        client.set_terminated(run_id, status)
    return run_id
