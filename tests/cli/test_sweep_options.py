"""The options of a sweep are written once, and are the same at every door."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import typer
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.cli.sweep_options import take_sweep_options
from tiledseg.tuning.options import SweepOptions

PROJECT = Path(__file__).resolve().parents[2]
FIELDS = fields(SweepOptions)


@pytest.fixture
def give():
    """Give a command that takes the options of a sweep; returns them."""
    taken = []

    @take_sweep_options
    def command(*, before: str = "", options: SweepOptions, after: int = 3) -> None:
        taken.append((before, options, after))

    small = typer.Typer()
    small.command()(command)

    def run(*words):
        done = CliRunner().invoke(small, words)
        assert done.exit_code == 0, done.output
        return taken[-1]

    return run


def test_every_field_is_an_option_with_its_description_and_default():
    known = {parameter.name: parameter for parameter in get_command(app).commands["sweep"].params}
    for one in FIELDS:
        option = known[one.name]
        flag = one.metadata["flag"] or one.name.replace("_", "-")
        assert option.opts == [f"--{flag}"]
        assert option.help == one.metadata["description"]
        assert (option.default or ()) == (one.default or ())
        assert one.default is not MISSING


def test_what_is_given_arrives(give):
    assert give() == ("", SweepOptions(), 3)
    words = "--before b --trials 4 --hours 0.5 --trial-memory 2 --sampler random --after 5"
    expected = SweepOptions(trials=4, hours=0.5, trial_memory=2.0, sampler="random")
    assert give(*words.split()) == ("b", expected, 5)


@pytest.mark.parametrize(
    "words",
    [
        ["--objective", "loss", "--objective", "val_loss"],
        ["--objective", "loss val_loss"],
        ["--objective", "loss,val_loss"],
    ],
)
def test_several_objectives(give, words):
    assert give(*words)[1].objectives == ("loss", "val_loss")


def test_an_empty_text_is_no_objective(give):
    assert give("--objective", "")[1] == SweepOptions()  # as ``mlflow run`` passes its default


def test_mlproject_has_the_options_of_the_command_with_the_same_defaults():
    text = (PROJECT / "MLproject").read_text(encoding="utf-8")
    parameters = yaml.safe_load(text)["entry_points"]["sweep"]["parameters"]
    command = get_command(app).commands["sweep"]
    options = {option.opts[0].removeprefix("--").replace("-", "_") for option in command.params}
    assert set(parameters) == options - {"help"}
    defaults = {name: parameter["default"] for name, parameter in parameters.items()}
    for one in FIELDS:
        given = defaults[one.metadata["flag"] or one.name]
        kind = type(one.default)
        assert (tuple(given.split()) if kind is tuple else kind(given)) == one.default, one.name
    for name in ("space", "retrain", "candidates"):
        option = next(option for option in command.params if option.name == name)
        assert defaults[name] == str(option.default)
