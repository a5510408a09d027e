"""The command, with trainings that are real."""

import re
import subprocess
import sys

import mlflow
import optuna
import pandas as pd
import pytest
from typer.testing import CliRunner

from tiledseg.__main__ import main
from tiledseg.cli import app
from tiledseg.config.experiment import load_experiment
from tiledseg.errors import SweepError

RATE = "training.learning_rate"
SPACE = """
parameters:
  training.learning_rate: {type: float, low: 1.0e-3, high: 0.1, log: true}
limits: {parameters: 100000}
"""


@pytest.fixture
def place(own_tables, tiny_dataset, tiny_experiment, tmp_path):
    """A dataset, its experiment, and a search space."""
    tiny_dataset()
    (tmp_path / "experiments" / "sweeps").mkdir(parents=True)
    (tmp_path / "experiments" / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    (tmp_path / "experiments" / "sweeps" / "default.yaml").write_text(SPACE)
    return tmp_path


@pytest.fixture
def tiledseg(monkeypatch, capsys):
    """Run the command line; returns the exit code and what was written to both outputs."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["tiledseg", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


@pytest.mark.soak
def test_a_sweep_of_real_trainings_retrained(place):
    command = "sweep --dataset Tiny --trials 2 --trial-epochs 1 --workers 2"
    command += " --retrain yes --candidates 2"
    done = subprocess.run(
        [sys.executable, "-m", "tiledseg", *command.split()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    study = optuna.load_study(study_name="Tiny-default", storage="sqlite:///sweeps.db")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]
    for trial in study.trials:
        run = mlflow.get_run(trial.user_attrs["run_id"])
        assert run.info.status == "FINISHED"
        assert run.data.metrics["valid/tiled/dice"] == pytest.approx(trial.value)
        assert not any(name.startswith("test/") for name in run.data.metrics)
        assert run.data.params["training.epochs"] == "1"
        rate = trial.params["training.learning_rate"]
        assert float(run.data.params["training.learning_rate"]) == pytest.approx(rate)
        assert 0 < trial.user_attrs["parameters"] < 100000
        assert 0.1 < trial.user_attrs["peak_memory_gb"] < 4
        assert trial.user_attrs["overhead_seconds"] > 0

    found = load_experiment(place / "experiments" / "Tiny-best.yaml")
    assert found.training.learning_rate == study.best_trial.params["training.learning_rate"]
    assert found.training.epochs == 2
    (parent,) = mlflow.search_runs(
        experiment_names=["Tiny"], filter_string="tags.`tiledseg.kind` = 'sweep'"
    )["run_id"]
    retrained = pd.read_csv(mlflow.artifacts.download_artifacts(f"runs:/{parent}/retraining.csv"))
    assert set(retrained["number"]) == {0, 1}
    for one in retrained.itertuples():
        run = mlflow.get_run(one.run_id)
        assert run.data.tags["tiledseg.kind"] == "train"
        assert run.data.params["training.epochs"] == "2"
        assert "test/tiled/dice" in run.data.metrics
        assert run.data.metrics["valid/tiled/dice"] == pytest.approx(one.score)
    best = mlflow.MlflowClient().get_model_version_by_alias("Tiny", "champion")
    champion = mlflow.get_run(best.run_id)
    assert champion.data.metrics["valid/tiled/dice"] == pytest.approx(retrained["score"].max())
    kept = load_experiment(place / re.findall(r"^experiment +(.+)$", done.stdout, re.M)[-1])
    winner = retrained.sort_values(["score", "number"], ascending=[False, True]).iloc[0]
    assert kept.training.learning_rate == study.trials[winner.number].params[RATE]
    for word in ("best        trial", "trial 0", "Tiny-best.yaml", "champion"):
        assert word in done.stdout, done.stdout
    assert not list((place / "state").glob("*"))  # trials leave no checkpoints behind


OTHER = "parameters:\n  training.learning_rate: {type: float, low: 1.0e-3, high: 0.2, log: true}"


@pytest.mark.parametrize(
    ("space", "words", "expected"),
    [
        ("parameters: {model.filters: {type: int, low: 1, high: 2}}", [], "model.filters"),
        ("parameters: {model.base_filters: {type: int, low: 9, high: 4}}", [], "low 9"),
        (None, ["--space", "nowhere.yaml"], "nowhere.yaml"),
        (None, ["--storage", "postgresql://127.0.0.1:9/x"], "127.0.0.1:9"),
        (None, ["--objective", "valid/tiled/dice val_loss", "--pruner", "median"], "median"),
        (None, ["--objective", "test/tiled/dice"], "test images choose nothing"),
        (None, ["--sampler", "bayes"], "'bayes'"),
        (None, ["--set", "training.epoch=3"], "training.epoch"),
        (None, ["--trials", "-3"], "--trials"),
        (None, ["--candidates", "2"], "--retrain yes"),
        (None, ["--candidates=2", "--retrain=yes", "--objective=loss val_loss"], "one objective"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_one_line(tiledseg, place, space, words, expected):
    if space:
        (place / "experiments" / "sweeps" / "default.yaml").write_text(space)
    code, _, err = tiledseg("sweep", "--dataset", "Tiny", *words)
    assert code == 1
    assert len(err.strip().splitlines()) == 1, err
    assert expected in err
    assert mlflow.search_runs(search_all_experiments=True).empty
    assert not list(place.glob("sweeps.db*"))


def test_a_dataset_that_is_not_sound_ends_it_before_a_trial(tiledseg, place):
    lost = next((place / "data" / "Tiny" / "train" / "masks").iterdir())
    lost.unlink()
    code, _, err = tiledseg("sweep", "--dataset", "Tiny", "--trials", "2")
    assert code == 1
    assert lost.stem in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert list(mlflow.search_runs(search_all_experiments=True)["status"]) == ["FAILED"]
    study = optuna.load_study(study_name="Tiny-default", storage="sqlite:///sweeps.db")
    assert {trial.state.name for trial in study.trials} <= {"WAITING"}

    (place / "experiments" / "sweeps" / "default.yaml").write_text(OTHER)
    code, _, err = tiledseg("sweep", "--dataset", "Tiny", "--trials", "2")
    assert code == 1
    assert "another space" in err
    assert "high was 0.1, is 0.2" in err


def test_a_search_space_that_does_not_exist_is_answered_with_those_that_do():
    done = CliRunner().invoke(app, ["sweep", "--dataset", "Synthetic-Cell", "--space", "fien"])
    assert isinstance(done.exception, SweepError)
    assert "fien.yaml: no such search space" in str(done.exception)
    assert "fine.yaml" in str(done.exception)
