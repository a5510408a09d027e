"""The checkpoints of a run as pages list them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from logged_models import log_model
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from tiledseg.errors import TrackingError
from tiledseg.models import build_model
from tiledseg.prediction import predictor as prediction
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking import checkpoint_summaries
from tiledseg.tracking.checkpoint_summaries import read_checkpoints, read_threshold
from tiledseg.tracking.checkpoints import find_checkpoint
from tiledseg.tracking.names import THRESHOLD_TAG


@pytest.fixture(scope="module")
def predictor(tiny_experiment):
    experiment = tiny_experiment()
    return Predictor(build_model(experiment.model, 3), experiment)


@pytest.fixture
def run_id(client, predictor):
    """A run whose threshold was tuned, with two checkpoints."""
    run_id = client.create_run(client.create_experiment("Tiny")).info.run_id
    client.log_param(run_id, "training.tune_threshold", "True")
    log_model(predictor, run_id, 1)
    model_id = log_model(predictor.replace(threshold=0.73), run_id, 2)
    client.set_logged_model_tags(model_id, {THRESHOLD_TAG: "0.73"})
    return run_id


def folder_of(client, run_id, epoch):
    location = find_checkpoint(client, run_id, epoch).artifact_location
    return Path(location.removeprefix("file://"))


def test_a_checkpoint_has_its_own_threshold_and_says_whether_that_was_tuned(client, run_id):
    two, one = read_checkpoints(run_id)
    assert (two.epoch, two.is_best, two.threshold, two.is_tuned) == (2, True, 0.73, True)
    assert (one.epoch, one.is_best, one.threshold, one.is_tuned) == (1, False, 0.5, False)
    assert one.metrics == {"val_dice": 0.5}
    assert one.model_id == find_checkpoint(client, run_id, 1).model_id


def test_a_threshold_that_was_written_but_not_tuned_is_not_called_tuned(client, predictor):
    run_id = client.create_run(client.create_experiment("Tiny")).info.run_id
    client.log_param(run_id, "training.tune_threshold", "False")
    client.set_logged_model_tags(log_model(predictor, run_id, 1), {THRESHOLD_TAG: "0.5"})
    (only,) = read_checkpoints(run_id)
    assert not only.is_tuned


def test_one_whose_files_are_gone_is_left_out(client, run_id):
    shutil.rmtree(folder_of(client, run_id, 2))
    assert [each.epoch for each in read_checkpoints(run_id)] == [1]


def test_a_store_that_stumbles_has_lost_nothing(run_id, monkeypatch):
    def stumble(*_):
        raise MlflowException("the connection was reset")

    monkeypatch.setattr(LocalArtifactRepository, "download_artifacts", stumble)
    with pytest.raises(TrackingError, match="connection was reset"):
        read_checkpoints(run_id)


def test_the_threshold_of_a_model_that_is_gone(client, run_id):
    model_id = find_checkpoint(client, run_id, 1).model_id
    client.delete_logged_model(model_id)
    with pytest.raises(TrackingError, match=model_id):
        read_threshold(model_id)
    other = find_checkpoint(client, run_id, 2).model_id
    shutil.rmtree(folder_of(client, run_id, 2))
    with pytest.raises(TrackingError, match=f"files of model {other} are gone"):
        read_threshold(other)


def test_a_run_that_is_not_there():
    with pytest.raises(TrackingError, match="0123"):
        read_checkpoints("0123")


def test_the_file_is_called_as_the_predictor_calls_it():
    assert checkpoint_summaries._THRESHOLD_FILE == prediction.THRESHOLD_FILE


def test_nothing_of_it_imports_keras():
    code = (
        "import sys, tiledseg.tracking.checkpoint_summaries, tiledseg.tracking.promotion\n"
        "print([name for name in ('keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
