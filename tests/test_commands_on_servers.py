"""What people do from a first training to a sweep, by commands, on each server.

On SQLite the same is tested by ``test_surviving_runs``, ``test_front_door``, ``test_reproduction``
and ``test_sweep_command``.
"""

import json
import shlex
from pathlib import Path

import mlflow
import optuna
import pytest
from stores import DOCUMENTED, SERVER
from surviving import Place, assert_one_whole_run, finish, write_experiment
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.images.reading import read_mask
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import EPOCH_TAG
from tiledseg.tuning.study.storage import default_storage

pytestmark = pytest.mark.soak

SMALL = {
    "training.epochs": 4,
    "training.epoch_pictures": 1,
    "training.precision": "float32",
    "tracking.checkpoint_minutes": 0.02,
    "evaluation.comparison_images": 0,
    "evaluation.seam_images": 0,
}
"""More epochs than are kept; nothing that is not looked at here."""
SPACE = """
parameters:
  training.learning_rate: {type: float, low: 1.0e-3, high: 0.1, log: true}
"""


@pytest.fixture(scope="module", params=[SERVER, DOCUMENTED])
def store(request, start_store):
    return start_store(request.param)


@pytest.fixture(scope="module")
def place(store, tmp_path_factory, tiny_dataset, tiny_experiment):
    """A folder with a dataset and an experiment, and the store."""
    folder = tmp_path_factory.mktemp("place")
    mlflow.set_tracking_uri(store.environment["MLFLOW_TRACKING_URI"])
    with pytest.MonkeyPatch.context() as patch:
        store.visit(patch)
        made = Place(folder, tiny_dataset(folder), store.environment)
        (folder / "experiments").mkdir()
        write_experiment(folder / "experiments", tiny_experiment(), SMALL)
        yield made
    made.stop()


@pytest.fixture(autouse=True)
def _there(place, store, monkeypatch):
    """Commands in this process are those of a third machine."""
    for name, value in place.environment("c").items():
        monkeypatch.setenv(name, value)
    store.visit(monkeypatch)
    monkeypatch.chdir(place.folder)


@pytest.fixture(scope="module")
def told(place):
    """What the commands wrote."""
    return []


@pytest.fixture
def tiledseg(told):
    """Runs a command here; gives what it wrote."""

    def run(command):
        done = CliRunner().invoke(app, shlex.split(command))
        told.append(done.output)
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture(scope="module")
def run_id(place, told):
    """A training that was killed, and went on on another machine."""
    process = place.start("train", "--dataset", "Tiny")
    run_id = place.wait_for_epoch(1)
    process.kill()
    told.append(process.communicate()[0])
    resumed = place.start("train", "--dataset", "Tiny", "--resume", "last", machine="b")
    told.append(finish(resumed))
    return run_id


def test_killed_and_resumed_elsewhere_it_is_one_whole_run(place, run_id):
    assert_one_whole_run(place, run_id, SMALL["training.epochs"])
    champion = place.client.get_model_version_by_alias("Tiny", "champion")
    assert champion.run_id == run_id


def test_of_what_falls_out_no_byte_stays(place, store, run_id):
    experiment = place.client.get_experiment_by_name("Tiny")
    kept = place.client.search_logged_models(experiment_ids=[experiment.experiment_id])
    files = store.list_files(f"{experiment.artifact_location}/models")
    assert {name.partition("/")[0] for name in files} == {model.model_id for model in kept}
    for model in kept:
        assert any(name.endswith(".keras") for name in store.list_files(model.artifact_location))


def test_a_model_is_found_by_name_and_by_epoch(place, run_id, tiledseg):
    image = next((place.dataset / "test" / "images").iterdir())
    (best,) = place.client.search_model_versions("name = 'Tiny'")
    model = place.client.get_logged_model(best.source.partition("models:/")[2])
    for name in ("Tiny", f"runs:/{run_id}@epoch={model.tags[EPOCH_TAG]}"):
        folder = place.folder / name.replace("/", "-")
        tiledseg(f"predict --model {name} --output {folder} {image}")
        said = RunFiles(run_id).path(f"predictions/test/tiled/{image.stem}.png")
        mask = read_mask(folder / f"{image.stem}.png")
        assert mask.any()
        if name == "Tiny":  # with the threshold that was chosen in the end
            assert (mask == read_mask(said)).all()


def test_a_model_is_scored_as_it_was_in_training(place, run_id, tiledseg):
    tiledseg("evaluate --model Tiny --dataset Tiny")
    found = next(run for run in place.runs() if run.data.tags["tiledseg.kind"] == "evaluate")
    first = place.client.get_run(run_id)
    for name in ("valid/tiled/dice", "test/tiled/dice", "test/resized/iou"):
        assert found.data.metrics[name] == pytest.approx(first.data.metrics[name], abs=1e-6)


def test_a_run_is_reproduced(run_id, tiledseg):
    assert "same        all" in tiledseg(f"reproduce {run_id}")


def test_two_workers_share_a_sweep(place, store, run_id, told):
    (place.folder / "space.yaml").write_text(SPACE)
    words = "sweep --dataset Tiny --space space.yaml --trials 2 --trial-epochs 1"
    told.append(finish(place.start(*words.split(), "--workers", "2", machine="b")))
    storage = default_storage(store.environment["MLFLOW_TRACKING_URI"])
    study = optuna.load_study(study_name="Tiny-space", storage=storage)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]
    runs = {run.info.run_id: run for run in place.runs()}
    for trial in study.trials:
        assert runs[trial.user_attrs["run_id"]].info.status == "FINISHED"
    (parent,) = [run for run in runs.values() if run.data.tags["tiledseg.kind"] == "sweep"]
    assert "trials.csv" in RunFiles(parent.info.run_id).names("")


def test_the_doctor_finds_the_store_well_and_nobody_dead(run_id, tiledseg):
    facts = json.loads(tiledseg("doctor --json"))
    assert facts["store"]["problem"] == ""
    assert facts["dead_runs"] == []


def test_files_came_through_the_server(store, run_id):
    assert not store.past_server


def test_no_secret_is_in_a_run_or_in_what_was_said(place, store, run_id, told):
    texts = list(told)
    for run in place.runs():
        texts.append(json.dumps(run.to_dictionary()))
        files = place.client.download_artifacts(run.info.run_id, "")
        texts += [
            path.read_text(encoding="latin-1") for path in Path(files).rglob("*") if path.is_file()
        ]
    assert len(texts) > 100
    if store.server:
        texts.append(store.server.read_log())
    for secret in store.secrets:
        assert not [text[:200] for text in texts if secret in text], secret
