"""Runs, studies and models of another form are refused in one line, at every door."""

import json
import re

import mlflow
import optuna
import pytest
from logged_models import log_model
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.config.format_version import FORMAT_VERSION, require_format
from tiledseg.errors import FormatError
from tiledseg.models import build_model
from tiledseg.prediction.predictor import FORMAT_FILE, Predictor
from tiledseg.tracking.names import FORMAT_TAG
from tiledseg.tracking.registry import load_predictor
from tiledseg.tracking.runs import open_run, read_experiment
from tiledseg.tuning.search.objectives import parse_objectives
from tiledseg.tuning.search.space import parse_space
from tiledseg.tuning.study.definition import StudyDefinition
from tiledseg.tuning.study.study import join_study

OTHERS = {
    "unversioned": (None, "has none: an older version wrote it; train it again"),
    "older": (FORMAT_VERSION - 1, "has 2: an older version wrote it; train it again"),
    "newer": (FORMAT_VERSION + 1, "has 4: a newer version wrote it; update tiledseg"),
}
either = pytest.mark.parametrize(("version", "words"), OTHERS.values(), ids=OTHERS)


@pytest.fixture
def folder(tiny_experiment, tmp_path):
    """A saved network."""
    experiment = tiny_experiment()
    place = tmp_path / "model"
    place.mkdir()
    Predictor(build_model(experiment.model, 3), experiment).save(place)
    return place


def rewrite(folder, version):
    """Give a saved network another version, or none."""
    if version is None:
        (folder / FORMAT_FILE).unlink()
    else:
        (folder / FORMAT_FILE).write_text(json.dumps({"format": version}))


def test_the_version_is_one_that_this_test_knows():
    assert FORMAT_VERSION == 3
    require_format(3, "run a")
    require_format("3", "run a")


@pytest.mark.parametrize("found", ["", "one", 0, -1, "1.0"])
def test_what_is_no_version_counts_as_older(found):
    with pytest.raises(FormatError, match="an older version wrote it"):
        require_format(found, "run a")


@either
def test_a_folder(folder, tiny_dataset, tmp_path, version, words):
    images = tiny_dataset() / "test" / "images"
    arguments = ["predict", "--model", str(folder), "--output", str(tmp_path / "out"), str(images)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    rewrite(folder, version)
    refused = CliRunner().invoke(app, [*arguments[:-2], str(tmp_path / "second"), str(images)])
    assert isinstance(refused.exception, FormatError)
    assert str(refused.exception).startswith(f"this tiledseg reads format 3, model {folder} has ")
    assert words in str(refused.exception)
    assert "\n" not in str(refused.exception)
    assert not (tmp_path / "second").exists()


@either
def test_a_logged_model_by_its_uri_and_as_it_is_served(
    own_tables, tiny_experiment, tmp_path, monkeypatch, version, words
):
    experiment = tiny_experiment()
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    save = predictor.save

    def save_and_rewrite(place):
        save(place)
        rewrite(place, version)

    monkeypatch.setattr(predictor, "save", save_and_rewrite)
    with mlflow.start_run() as run:
        pass
    log_model(predictor, run.info.run_id)
    uri = f"runs:/{run.info.run_id}/model"
    with pytest.raises(FormatError, match=re.escape(words)):
        load_predictor(uri)
    with pytest.raises(FormatError, match=re.escape(words)):
        mlflow.pyfunc.load_model(uri)


@either
def test_a_run_that_would_be_resumed(own_tables, tiny_experiment, tiny_dataset, version, words):
    tiny_dataset()
    experiment = tiny_experiment()
    with open_run(experiment, "train") as run:
        run.log_experiment(experiment)
    client = mlflow.MlflowClient()
    assert client.get_run(run.run_id).data.tags[FORMAT_TAG] == "3"
    assert read_experiment(run.run_id) == experiment
    if version is None:
        client.delete_tag(run.run_id, FORMAT_TAG)
    else:
        client.set_tag(run.run_id, FORMAT_TAG, str(version))
    done = CliRunner().invoke(app, ["train", "--resume", run.run_id])
    assert isinstance(done.exception, FormatError)
    assert words in str(done.exception)
    assert client.get_run(run.run_id).info.status == "FINISHED"


@either
def test_a_study(tiny_experiment, version, words):
    space = parse_space(
        {"parameters": {"model.base_filters": {"type": "int", "low": 2, "high": 4}}}, "s"
    )
    objectives = parse_objectives(["valid/tiled/dice"])
    definition = StudyDefinition(tiny_experiment(), space, objectives)
    storage = optuna.storages.InMemoryStorage()
    study = join_study(storage, "filters", definition)
    join_study(storage, "filters", definition)
    study.set_user_attr(FORMAT_TAG, version)
    with pytest.raises(FormatError, match=re.escape(words)):
        join_study(storage, "filters", definition)


@either
def test_the_files_of_a_run_on_the_dashboard(own_tables, version, words):
    """The page says it in one line, and shows nothing of the run."""

    def show(run_id):
        from dashboards import empty_states, store

        with empty_states.guard_part("files"):
            store.files_of(run_id).names("")
            empty_states.st.write("shown")

    def visit(**tags):
        with mlflow.start_run(tags=tags) as run:
            mlflow.log_text("a,b", "scores.csv")
        return run.info.run_id, AppTest.from_function(show, args=(run.info.run_id,)).run()

    _, own = visit(**{FORMAT_TAG: str(FORMAT_VERSION)})
    assert [text.value for text in own.markdown] == ["shown"]
    assert not own.error
    run_id, other = visit(**({} if version is None else {FORMAT_TAG: str(version)}))
    (told,) = other.error
    assert told.value.startswith(f"this tiledseg reads format 3, run {run_id} has ")
    assert words in told.value
    assert "\n" not in told.value
    assert not other.markdown
    assert not other.exception
