"""What a shell makes of an overriding option is the setting that a run had."""

import shlex

import pytest

from dashboards.commands import set_options
from tiledseg.cli.arguments import split_overrides
from tiledseg.config.experiment import Experiment, parse_experiment

BASE = "dataset: {name: Discs}\n"


def read_back(params):
    """The experiment that the command line gives."""
    words = shlex.split(set_options(params))
    assert words[::2] == ["--set"] * (len(words) // 2)
    return parse_experiment(BASE, "base", split_overrides(words[1::2]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.clipnorm", None),
        ("training.clipnorm", 1.5),
        ("training.learning_rate", 1e-05),
        ("training.learning_rate", 0.00012345678912345),
        ("training.epochs", 7),
        ("training.tune_threshold", False),
        ("model.architecture", "AttentionUNet"),
        ("dataset.classes", ("background", "a cell", "no", "10")),
    ],
)
def test_a_setting_comes_back_as_it_was(key, value):
    section, name = key.split(".")
    settings = {"dataset": {"name": "Discs"}}
    settings.setdefault(section, {})[name] = value
    if key == "dataset.classes":
        settings["model"] = {"num_classes": len(value)}
        settings["dataset"]["mask_form"] = "labels"
    wanted = Experiment.model_validate(settings)
    params = {name: str(each) for name, each in wanted.flatten().items()}
    keys = {key, "model.num_classes", "dataset.mask_form"}
    assert read_back({name: params[name] for name in keys}) == wanted


def test_all_settings_of_an_experiment_come_back():
    wanted = Experiment.model_validate(
        {"dataset": {"name": "Discs"}, "training": {"epochs": 3, "clipnorm": None}}
    )
    params = {key: str(value) for key, value in wanted.flatten().items()}
    assert read_back(params).flatten() == wanted.flatten()


def test_plain_settings_are_written_plainly():
    params = {"model.base_filters": "8", "training.loss": "dice", "training.clipnorm": "None"}
    assert set_options(params) == (
        "--set model.base_filters=8 --set training.loss=dice --set training.clipnorm=null"
    )
