"""Tracking servers, which keep the files of runs: fetching them, and training by the front door."""

import json
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pytest
from logged_models import log_model
from mlflow.exceptions import MlflowException
from stores import DOCUMENTED, SERVER
from typer.testing import CliRunner

from tiledseg import train
from tiledseg.cli import app
from tiledseg.errors import RegistryError, TrackingError
from tiledseg.images.reading import read_image, read_mask
from tiledseg.images.writing import write_probability
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking.champions import ValidationScore, champion_score, promote
from tiledseg.tracking.checkpoint_summaries import read_checkpoints
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import CHAMPION, LATEST
from tiledseg.tracking.promotion import promote_checkpoint
from tiledseg.tracking.registry import load_predictor, register

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module", params=[SERVER, DOCUMENTED])
def server(request, start_store):
    return start_store(request.param)


@pytest.fixture
def client(server, monkeypatch):
    server.visit(monkeypatch)
    return mlflow.MlflowClient()


@pytest.fixture
def experiment_id(client):
    """The tables were made without a server; experiments made now have its artifact root."""
    found = client.get_experiment_by_name("Tiny")
    return found.experiment_id if found else client.create_experiment("Tiny")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, tiny_dataset):
    return tiny_dataset(tmp_path_factory.mktemp("datasets"))


@pytest.fixture(scope="module")
def trained(server, dataset, tiny_experiment):
    """A training by the front door; the first version of the model "Tiny" is its network."""
    with pytest.MonkeyPatch.context() as patch:
        server.visit(patch)
        return train(tiny_experiment(), root=dataset.parent)


@pytest.fixture
def run(client, experiment_id):
    """A run with two files; its artifact URI has a scheme and no host."""
    found = client.create_run(experiment_id)
    assert found.info.artifact_uri.startswith(f"mlflow-artifacts:/{experiment_id}/")
    client.log_text(found.info.run_id, "stem,dice", "scores.csv")
    client.log_text(found.info.run_id, "1", "predictions/test/tiled/a.png")
    return found.info.run_id


def test_files_of_a_run_are_listed_and_fetched(run, tmp_path):
    files = RunFiles(run)
    assert files.names("") == ["scores.csv"]
    assert files.names("predictions/test/tiled") == ["a.png"]
    assert files.names("none") == []
    assert files.has("scores.csv") and not files.has("scores.json")
    place = files.path("scores.csv")
    assert place.read_text() == "stem,dice"
    assert place.is_relative_to(tmp_path / "cache")
    assert files.path("predictions/test/tiled/a.png").read_text() == "1"
    for missing in ("c.csv", "none/c.csv", "predictions"):
        with pytest.raises(TrackingError, match="has no file"):
            files.path(missing)
    for outside in ("..", "/etc/passwd"):
        for ask in (files.names, files.path):
            with pytest.raises(TrackingError, match="leads out of run"):
                ask(outside)
    assert sorted(path.name for path in place.parent.rglob("*") if path.is_file()) == [
        "a.png", "scores.csv",
    ]  # fmt: skip


def test_a_broken_download_leaves_nothing_that_is_believed(run, monkeypatch):
    def broken(*, artifact_path, dst_path, **_):
        (Path(dst_path) / artifact_path).write_text("stem,")
        raise MlflowException("the connection was reset")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.artifacts, "download_artifacts", broken)
        with pytest.raises(TrackingError, match="connection was reset"):
            RunFiles(run).path("scores.csv")
    assert RunFiles(run).path("scores.csv").read_text() == "stem,dice"


def test_a_model_is_loaded_without_leaving_a_copy(
    experiment_id, tiny_experiment, tmp_path, monkeypatch
):
    experiment = tiny_experiment()
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    with mlflow.start_run(experiment_id=experiment_id) as run:
        pass
    log_model(predictor, run.info.run_id)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    loaded = load_predictor(f"runs:/{run.info.run_id}/model")
    image = np.zeros((40, 40, 3), np.uint8)
    assert np.array_equal(loaded.probability(image), predictor.probability(image))
    assert not list((tmp_path / "temporary").iterdir())


def logged_model_id(version):
    """A version that is read back says in its source alone which logged model it is."""
    scheme, _, model_id = version.source.partition("models:/")
    assert not scheme
    return model_id


def test_a_training_ends_well_and_its_network_has_both_aliases(trained, client):
    assert client.get_run(trained.run_id).info.status == "FINISHED"
    assert trained.registration is not None
    assert trained.registration.is_champion
    for alias in (LATEST, CHAMPION):
        version = client.get_model_version_by_alias("Tiny", alias)
        assert str(version.version) == trained.registration.version
        assert version.run_id == trained.run_id
        logged = client.get_logged_model(logged_model_id(version))
        assert logged.source_run_id == trained.run_id
        made = json.loads(logged.tags["mlflow.modelVersions"])
        assert ("Tiny", str(version.version)) in [
            (item["name"], str(item["version"])) for item in made
        ]
    assert champion_score(client, "Tiny").dice == pytest.approx(
        trained.metrics["valid/tiled/dice"], abs=1e-6
    )


def test_the_network_is_found_by_name_and_says_what_the_trained_one_said(
    trained, client, dataset, tmp_path
):
    image = next((dataset / "test" / "images").iterdir())
    said = RunFiles(trained.run_id).path(f"predictions/test/tiled/{image.stem}.png")
    assert len(np.unique(read_image(said))) > 2  # else any network would say the same
    predictor = load_predictor("Tiny")
    write_probability(tmp_path / "said.png", predictor.probability(read_image(image))[..., 0])
    assert np.array_equal(read_image(tmp_path / "said.png"), read_image(said))
    served = mlflow.pyfunc.load_model(f"models:/Tiny@{CHAMPION}")
    assert np.array_equal(served.predict(read_image(image)) > 0, read_mask(said))
    given = ["predict", "--model", "Tiny", "--output", str(tmp_path / "masks"), str(image)]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert np.array_equal(read_mask(tmp_path / "masks" / f"{image.stem}.png"), read_mask(said))


def test_aliases_move_as_they_do_in_a_database(client, experiment_id, tiny_experiment):
    experiment = tiny_experiment()
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    run_id = client.create_run(experiment_id).info.run_id
    models = [log_model(predictor, run_id, epoch) for epoch in (1, 2, 3)]
    outcome = [
        register(
            client, "Others", model_id, run_id, ValidationScore(score, 2, ("foreground",))
        ).is_champion
        for model_id, score in zip(models, (0.5, 0.4, 0.6), strict=True)
    ]
    assert outcome == [True, False, True]
    aliases = {
        alias: str(client.get_model_version_by_alias("Others", alias).version)
        for alias in (LATEST, CHAMPION)
    }
    assert aliases == {LATEST: "3", CHAMPION: "3"}
    client.set_registered_model_alias("Others", CHAMPION, "2")
    with pytest.raises(RegistryError, match="promote version 3"):
        promote("Others", "1")
    assert promote("Others", "3") == "2"
    champion = client.get_model_version_by_alias("Others", CHAMPION)
    assert (str(champion.version), logged_model_id(champion)) == ("3", models[2])
    with pytest.raises(RegistryError, match="Nobody"):
        load_predictor("Nobody")


def test_a_checkpoint_is_promoted_as_it_is_in_a_database(client, experiment_id, tiny_experiment):
    experiment = tiny_experiment()
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    run_id = client.create_run(experiment_id).info.run_id
    models = [log_model(predictor.replace(threshold=0.7), run_id, epoch) for epoch in (1, 2)]
    scores = [ValidationScore(dice, 2, ("foreground",)) for dice in (0.5, 0.6)]
    register(client, "Promoted", models[1], run_id, scores[0])
    made = promote_checkpoint(run_id, 1, "Promoted", scores[1])
    assert (made.version, made.before) == ("2", "1")
    champion = client.get_model_version_by_alias("Promoted", CHAMPION)
    assert (str(champion.version), logged_model_id(champion)) == ("2", models[0])
    assert str(client.get_model_version_by_alias("Promoted", LATEST).version) == "1"
    assert load_predictor("models:/Promoted@champion").threshold == 0.7
    listed = [(each.epoch, each.model_id, each.threshold) for each in read_checkpoints(run_id)]
    assert listed == [(2, models[1], 0.7), (1, models[0], 0.7)]
