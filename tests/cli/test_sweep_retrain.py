"""``--retrain yes``, with trainings that cost nothing."""

from types import SimpleNamespace

import mlflow
import pytest
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.errors import SweepError
from tiledseg.tuning import sweep as sweeping
from tiledseg.tuning.results.candidates import Candidate
from tiledseg.tuning.results.progress import StudyProgress
from tiledseg.tuning.results.report import StudyResult

STORAGE = "sqlite:///sweeps.db"


@pytest.fixture
def retrain(own_tables, tiny_experiment, tmp_path, monkeypatch):
    """Give the command; returns the learning rates that were trained in full, and its lines."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    run_id = mlflow.MlflowClient().create_run(mlflow.create_experiment("Tiny")).info.run_id
    ranking = tuple(
        Candidate(number, 0.9 - rate, False, tiny_experiment(training={"learning_rate": rate}))
        for number, rate in ((4, 0.01), (2, 0.02))
    )
    found = StudyResult(
        "Tiny-default", run_id, StudyProgress((), None, 0.0, None), ("valid/tiled/dice",),
        None, ranking[0].experiment, tmp_path / "Tiny-best.yaml", ranking, STORAGE,
    )  # fmt: skip
    monkeypatch.setattr(sweeping, "sweep", lambda *_, **__: found)
    monkeypatch.setattr("tiledseg.tuning.search.space.load_space", lambda _: None)
    trained = []

    def train(experiment):
        trained.append(experiment.training.learning_rate)
        score = 0.5 + experiment.training.learning_rate
        return SimpleNamespace(run_id=f"run{len(trained)}", metrics={"valid/tiled/dice": score})

    monkeypatch.setattr("tiledseg.cli.sweep.train_and_show", train)

    def give(*words):
        trained.clear()
        done = CliRunner().invoke(app, ["sweep", "--dataset", "Tiny", "--retrain", "yes", *words])
        assert done.exit_code == 0, done.exception
        return list(trained), done.output

    return give


def test_the_same_command_again_trains_nothing_again(retrain):
    final = "retrained   trial 4: valid/tiled/dice 0.5100, 0.8900 as a trial"
    for expected in ([0.01], []):
        trained, shown = retrain()
        assert trained == expected
        assert final in shown


def test_more_candidates_train_the_others_alone(retrain):
    assert retrain()[0] == [0.01]
    trained, shown = retrain("--candidates", "2")
    assert trained == [0.02]
    assert "retrained   trial 2: valid/tiled/dice 0.5200" in shown
    assert shown.strip().endswith("Tiny-best.yaml")


def test_a_candidate_that_no_validation_image_could_judge_ends_it_in_one_line(retrain, monkeypatch):
    def train(_):
        return SimpleNamespace(run_id="run1", metrics={"valid/tiled/images/dice": 0.0})

    monkeypatch.setattr("tiledseg.cli.sweep.train_and_show", train)
    done = CliRunner().invoke(app, ["sweep", "--dataset", "Tiny", "--retrain", "yes"])
    assert isinstance(done.exception, SweepError)
    assert "run run1 of trial 4 has no valid/tiled/dice: no validation image" in str(done.exception)
