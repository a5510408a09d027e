"""Promotion of a run's checkpoints."""

import mlflow
import pytest
from logged_models import log_model

from tiledseg.errors import RegistryError, TrackingError
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking import checkpoints
from tiledseg.tracking.champions import (
    ValidationScore,
    champion_score,
    explain_refusal_of_score,
)
from tiledseg.tracking.checkpoints import find_checkpoint, list_checkpoints, send_checkpoint
from tiledseg.tracking.names import CHAMPION, LATEST
from tiledseg.tracking.packaging import PREDICTOR_FOLDER, make_package
from tiledseg.tracking.promotion import Promotion, promote_checkpoint
from tiledseg.tracking.registry import load_predictor, register


@pytest.fixture(scope="module")
def predictor(tiny_experiment):
    experiment = tiny_experiment()
    return Predictor(build_model(experiment.model, 3), experiment)


def scored(dice):
    return ValidationScore(dice, 2, ("foreground",))


def champion(client):
    return str(client.get_model_version_by_alias("Tiny", CHAMPION).version)


@pytest.fixture
def run_id(client, predictor):
    """A run with two checkpoints, of which the second is version 1, the champion."""
    run_id = client.create_run(client.create_experiment("Tiny")).info.run_id
    client.log_param(run_id, "tiling.mode", "exact")
    log_model(predictor.replace(threshold=0.6), run_id, 1)
    register(client, "Tiny", log_model(predictor, run_id, 2), run_id, scored(0.8))
    return run_id


def test_one_that_is_better_becomes_champion_with_its_own_threshold(client, run_id):
    assert explain_refusal_of_score("Tiny", scored(0.9), "epoch 1") == ""
    assert promote_checkpoint(run_id, 1, "Tiny", scored(0.9)) == Promotion("2", "1")
    assert champion(client) == "2"
    version = client.get_model_version("Tiny", "2")
    assert version.source == f"models:/{find_checkpoint(client, run_id, 1).model_id}"
    told = {key: version.tags[f"tiledseg.{key}"] for key in ("epoch", "threshold", "tiling_mode")}
    assert told == {"epoch": "1", "threshold": "0.600000", "tiling_mode": "exact"}
    assert ValidationScore.from_tags(version.tags) == scored(0.9)
    assert load_predictor("models:/Tiny@champion").threshold == 0.6
    assert str(client.get_model_version_by_alias("Tiny", LATEST).version) == "1"


def test_promoted_again_it_stays_the_same_version(client, run_id):
    promote_checkpoint(run_id, 1, "Tiny", scored(0.9))
    client.set_registered_model_alias("Tiny", CHAMPION, "1")
    assert promote_checkpoint(run_id, 1, "Tiny", scored(0.1)) == Promotion("2", "1")
    assert champion_score(client, "Tiny") == scored(0.9)


def test_one_that_is_worse_is_refused_and_nothing_changes(client, run_id):
    with pytest.raises(RegistryError, match=r"version 1 has \S+ 0\.8000") as told:
        promote_checkpoint(run_id, 1, "Tiny", scored(0.7))
    refusal = explain_refusal_of_score("Tiny", scored(0.7), f"epoch 1 of run {run_id}")
    assert refusal == str(told.value)
    assert len(client.search_model_versions("name = 'Tiny'")) == 1
    assert "tiledseg.registered" not in find_checkpoint(client, run_id, 1).tags
    assert champion(client) == "1"


def test_without_a_registered_model_one_is_made(client, run_id):
    assert explain_refusal_of_score("New", scored(0.1), "epoch 1") == ""
    assert promote_checkpoint(run_id, 1, "New", scored(0.1)) == Promotion("1", None)


def test_an_epoch_that_is_not_kept_cannot_be_promoted(run_id):
    with pytest.raises(TrackingError, match="keeps no network of epoch 7; it keeps: 1, 2"):
        promote_checkpoint(run_id, 7, "Tiny", scored(0.9))


def test_one_that_falls_out_of_the_best_in_that_moment_makes_no_version(
    client, run_id, monkeypatch
):
    def overtaken(self, model_id, tags):
        self.delete_logged_model(model_id)

    monkeypatch.setattr(mlflow.MlflowClient, "set_logged_model_tags", overtaken)
    with pytest.raises(TrackingError, match="keeps no network of epoch 1"):
        promote_checkpoint(run_id, 1, "Tiny", scored(0.9))
    assert len(client.search_model_versions("name = 'Tiny'")) == 1


def test_one_that_is_promoted_while_a_training_removes_what_fell_out_stays(
    client, run_id, predictor, monkeypatch, tmp_path
):
    """The training has listed its models, and not removed any yet."""
    search, promoted = checkpoints._list_models, []

    def list_then_promote(*given):
        found = search(*given)
        if len(found) == 3 and not promoted:
            promoted.append(True)
            promote_checkpoint(run_id, 1, "Tiny", scored(0.9))
        return found

    monkeypatch.setattr(checkpoints, "_list_models", list_then_promote)
    log_third(client, run_id, predictor, tmp_path)
    assert promoted
    assert set(list_checkpoints(client, run_id)) == {1, 3}
    assert load_predictor("models:/Tiny@champion").threshold == 0.6


def log_third(client, run_id, predictor, folder):
    """A third epoch, which is the only one that shall be kept."""
    make_package(folder / "package")
    predictor.save(folder / "package" / PREDICTOR_FOLDER)
    content = {"epoch": 3, "best": [3], "metrics": []}
    send_checkpoint(client, run_id, content, folder / "package")


def test_one_that_has_no_score_cannot_be_champion(client, run_id):
    with pytest.raises(RegistryError, match=r"epoch 1 of run .* has no valid/tiled/dice"):
        promote_checkpoint(run_id, 1, "New", scored(None))
