"""How the words on the command line become the experiment that is trained."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.errors import ExperimentError
from tiledseg.tracking.resuming import Resumption


@pytest.fixture
def chosen(monkeypatch, tiny_experiment, tmp_path):
    """The experiment that ``train`` would train with some words on the command line."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "Tiny.yaml").write_text(tiny_experiment().to_yaml())

    def choose(*words: str):
        caught = {}

        def train(experiment, observers, **_):
            caught["experiment"] = experiment
            raise KeyboardInterrupt

        monkeypatch.setattr("tiledseg.pipeline.train", train)
        CliRunner().invoke(app, ["train", *words])
        return caught["experiment"]

    return choose


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "training.epochs=7", "--set", "model.base_filters=2"],
        ["--set", "training.epochs=7 model.base_filters=2"],
        ["--set", "", "--set", "'training.epochs=7'  \"model.base_filters=2\""],
    ],
)
def test_settings_together_or_one_by_one(chosen, words):
    experiment = chosen("--dataset", "Tiny", *words)
    assert (experiment.training.epochs, experiment.model.base_filters) == (7, 2)


def test_a_value_may_hold_spaces(chosen):
    words = ["--set", "dataset.synthetic={seed: 1, size: 64}", "--set", "dataset.description=a b"]
    experiment = chosen("--dataset", "Tiny", *words)
    assert experiment.dataset.synthetic.size == 64
    assert experiment.dataset.description == "a b"


def test_empty_parameters_of_mlflow_run_mean_nothing(chosen, tmp_path):
    path = str(tmp_path / "experiments" / "Tiny.yaml")
    words = ["--dataset", "", "--experiment", path, "--set", "", "--resume", ""]
    assert chosen(*words).dataset.name == "Tiny"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--dataset", "Tiny"], "--dataset"),
        (["--dataset", "Tiny", "--set", "training.epochs=3"], "--dataset"),
        (["--dataset", "", "--experiment", "Tiny.yaml", "--set", ""], "--experiment"),
    ],
)
def test_a_resumed_run_takes_no_other_settings(words, named):
    refused = CliRunner().invoke(app, ["train", "--resume", "0123", *words]).exception
    assert isinstance(refused, ExperimentError)
    assert f"--resume 0123 goes on with the settings of that run; leave out {named}," in str(
        refused
    )


def test_mlflow_run_resumes_with_empty_parameters(monkeypatch, tiny_experiment):
    caught = []
    monkeypatch.setattr(
        "tiledseg.tracking.resuming.plan_resumption",
        lambda run_id, changes: Resumption(tiny_experiment(), run_id, f"{changes}"),
    )
    monkeypatch.setattr(
        "tiledseg.cli.train.train_and_show", lambda *given, **_: caught.append(given)
    )
    words = ["--dataset", "", "--experiment", "", "--set", "", "--resume", "0123"]
    assert CliRunner().invoke(app, ["train", *words]).exit_code == 0
    assert caught == [(tiny_experiment(), "0123", "[]")]


def test_the_last_run_is_that_of_a_dataset():
    refused = CliRunner().invoke(app, ["train", "--resume", "last"]).exception
    assert "--resume last needs --dataset NAME" in str(refused)


def test_a_name_that_is_not_the_datasets_own(tmp_path, tiny_experiment):
    (tmp_path / "experiments").mkdir()
    path = Path("experiments") / "Tiny-best.yaml"
    path.write_text(tiny_experiment().to_yaml())
    refused = CliRunner().invoke(app, ["train", "--dataset", "Tiny-best"]).exception
    assert f"use --experiment {path}" in str(refused)
    both = ["--dataset", "Other", "--experiment", str(path)]
    refused = CliRunner().invoke(app, ["train", *both]).exception
    assert "give --dataset or --experiment, not both" in str(refused)
