import mlflow
import numpy as np
import pytest
from logged_models import log_model
from mlflow.exceptions import MlflowException
from stores import on_every_store

from tiledseg.errors import RegistryError
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking.champions import (
    ValidationScore,
    champion_score,
    explain_refusal,
    promote,
)
from tiledseg.tracking.names import CHAMPION, LATEST
from tiledseg.tracking.registry import (
    Registration,
    find_registration,
    is_model_folder,
    load_predictor,
    make_version,
    register,
)

pytestmark = on_every_store


@pytest.fixture(scope="module")
def predictor(tiny_experiment):
    experiment = tiny_experiment()
    return Predictor(build_model(experiment.model, 3), experiment)


@pytest.fixture
def log(predictor):
    """Logs a model of its own each time; gives its id and the run's."""

    def log_one():
        with mlflow.start_run() as run:
            pass
        return log_model(predictor, run.info.run_id), run.info.run_id

    return log_one


@pytest.fixture
def logged(log):
    return log()


def scored(dice):
    return ValidationScore(dice, 2, ("foreground",))


def versions_by_alias(client):
    aliases = client.get_registered_model("Tiny").aliases
    return {alias: str(version) for alias, version in aliases.items()}


def test_champion_moves_only_to_a_better_score(log):
    client = mlflow.MlflowClient()
    outcome = [
        (register(client, "Tiny", *log(), scored(score)).is_champion, versions_by_alias(client))
        for score in (0.5, 0.4, 0.5, 0.6)
    ]
    assert outcome == [
        (True, {LATEST: "1", CHAMPION: "1"}),
        (False, {LATEST: "2", CHAMPION: "1"}),
        (False, {LATEST: "3", CHAMPION: "1"}),
        (True, {LATEST: "4", CHAMPION: "4"}),
    ]
    assert champion_score(client, "Tiny") == scored(0.6)


def test_there_is_no_score_without_a_champion():
    client = mlflow.MlflowClient()
    assert champion_score(client, "Nobody") is None
    client.create_registered_model("Tiny")
    assert champion_score(client, "Tiny") is None


def test_a_registry_that_stumbles_is_not_one_without_a_champion(monkeypatch):
    def stumble(*_):
        raise MlflowException("the database is locked")

    for name in ("get_registered_model", "get_model_version_by_alias"):
        monkeypatch.setattr(mlflow.MlflowClient, name, stumble)
    with pytest.raises(MlflowException, match="locked"):
        champion_score(mlflow.MlflowClient(), "Tiny")


def test_of_two_trainings_that_end_together_the_better_one_is_champion(log, monkeypatch):
    client = mlflow.MlflowClient()
    register(client, "Tiny", *log(), scored(0.5))
    move, better = mlflow.MlflowClient.set_registered_model_alias, []

    def overtaken(self, name, alias, version):
        """Between the look at the champion and the move of its alias."""
        if alias == CHAMPION and not better:
            better.append(True)
            better.append(register(client, "Tiny", *log(), scored(0.9)))
        move(self, name, alias, version)

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", overtaken)
    assert not register(client, "Tiny", *log(), scored(0.8)).is_champion
    assert better[1].is_champion
    assert champion_score(client, "Tiny") == scored(0.9)


def test_every_way_of_naming_a_model(logged, predictor):
    model_id, run_id = logged
    register(mlflow.MlflowClient(), "Tiny", model_id, run_id, scored(0.5))
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    expected = predictor.probability(image)
    uris = [f"models:/{name}" for name in ("Tiny@champion", "Tiny/1", model_id)]
    for name in ("Tiny", f"runs:/{run_id}/model", *uris):
        loaded = load_predictor(name)
        assert np.array_equal(loaded.probability(image), expected), name
        assert loaded.experiment == predictor.experiment


@pytest.mark.parametrize(
    "uri", ["runs:/0123@epoch=seven", "runs:/0123/other", "runs:/", "runs:/0123@epoch="]
)
def test_a_network_of_a_run_that_is_named_in_another_way(uri):
    with pytest.raises(RegistryError, match="write runs:/RUN_ID for its best epoch"):
        load_predictor(uri)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/m", "s3://bucket/m", "file:///etc", "dbfs:/m", "C:/models"]
)
def test_no_other_address_is_fetched(uri, monkeypatch):
    monkeypatch.setattr("mlflow.artifacts.download_artifacts", pytest.fail)
    with pytest.raises(RegistryError, match="is no address of a model; name it as models:/NAME"):
        load_predictor(uri)


@pytest.mark.parametrize("uri", ["a" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have(uri):
    assert not is_model_folder(uri)
    with pytest.raises(RegistryError, match="model 'a"):
        load_predictor(uri)


@pytest.mark.parametrize("uri", ["Nobody", "models:/Tiny@champion", "runs:/0123/model", "x:/y"])
def test_a_model_that_is_not_there_is_named(uri):
    with pytest.raises(RegistryError, match=uri):
        load_predictor(uri)


def test_the_served_model_answers_for_any_size(logged, predictor):
    served = mlflow.pyfunc.load_model(f"models:/{logged[0]}")
    for shape in ((40, 50, 3), (7, 5, 3)):
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for mode in ("tiled", "resized"):
            mask = served.predict(image, params={"mode": mode})
            assert mask.dtype == np.uint8
            assert np.array_equal(mask, predictor.mask(image, mode) * np.uint8(255))
        probability = served.predict(image, params={"output": "probability"})
        assert np.array_equal(probability, predictor.probability(image)[..., 0])


def test_the_served_model_refuses_what_it_does_not_know(logged):
    served = mlflow.pyfunc.load_model(f"models:/{logged[0]}")
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(Exception, match="mode is 'tilde'"):
        served.predict(image, params={"mode": "tilde"})
    with pytest.raises(Exception, match="output is 'masks'"):
        served.predict(image, params={"output": "masks"})


def test_a_version_that_was_made_before_the_training_ended_gets_what_was_decided_then(log):
    client = mlflow.MlflowClient()
    model_id, run_id = log()
    tags = {"tiledseg.threshold": "0.5"}
    version = make_version(client, "Tiny", model_id, run_id, scored(0.5), tags)
    register(client, "Tiny", *log(), scored(0.6))
    decided = {"tiledseg.threshold": "0.9"}
    found = register(client, "Tiny", model_id, run_id, scored(0.7), decided)
    assert found == Registration("Tiny", version, is_champion=True)
    assert champion_score(client, "Tiny") == scored(0.7)
    assert client.get_model_version("Tiny", version).tags["tiledseg.threshold"] == "0.9"
    assert register(client, "Tiny", model_id, run_id, scored(0.7)).is_champion, "sent once more"


def test_the_version_of_an_epoch_is_found_among_those_of_its_run(predictor):
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        pass
    models = [log_model(predictor, run.info.run_id, epoch) for epoch in (1, 2)]
    assert find_registration(client, "Tiny", run.info.run_id, 2) is None
    register(client, "Tiny", models[1], run.info.run_id, scored(0.5))
    register(client, "Tiny", models[0], run.info.run_id, scored(0.4))
    assert find_registration(client, "Tiny", run.info.run_id, 2) == Registration("Tiny", "1", True)
    assert find_registration(client, "Tiny", run.info.run_id, 1) == Registration("Tiny", "2", False)


class TestPromotion:
    def champion(self, client):
        return str(client.get_model_version_by_alias("Tiny", CHAMPION).version)

    def test_the_best_takes_the_place_of_the_champion(self, client, versions):
        assert explain_refusal("Tiny", "2") == ""
        assert promote("Tiny", "2") == "1"
        assert self.champion(client) == "2"

    @pytest.mark.parametrize("version", ["1", "3"])
    def test_others_are_refused_and_nothing_changes(self, client, versions, version):
        with pytest.raises(RegistryError, match=r"cannot be champion|promote version 2") as told:
            promote("Tiny", version)
        assert version in str(told.value)
        assert explain_refusal("Tiny", version) == str(told.value)
        assert self.champion(client) == "1"

    @pytest.mark.parametrize(("name", "version"), [("Tiny", "9"), ("Other", "1"), ("O'Hara", "1")])
    def test_what_does_not_exist_is_refused(self, versions, name, version):
        with pytest.raises(RegistryError, match="cannot be champion"):
            promote(name, version)

    def test_without_a_champion_before(self, client, versions):
        client.delete_registered_model_alias("Tiny", CHAMPION)
        assert promote("Tiny", "2") is None
