"""The files around the package agree with each other."""

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from tiledseg.cli import app

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def entry_points():
    return yaml.safe_load((PROJECT / "MLproject").read_text())["entry_points"]


def test_conda_environment_is_python_pip_and_our_dependencies(pyproject):
    conda = yaml.safe_load((PROJECT / "conda.yaml").read_text())
    python, pip, ours = conda["dependencies"]
    assert python.startswith("python=3.11")
    assert pip == "pip"
    assert ours == {"pip": pyproject["project"]["dependencies"]}
    assert set(conda) == {"name", "dependencies"}


def test_every_dependency_is_pinned_without_an_address(pyproject):
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s/:@]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    extras = pyproject["project"]["optional-dependencies"]
    wanted = [*pyproject["project"]["dependencies"], *chain.from_iterable(extras.values())]
    names = {re.split(r"[<>=\[]", item)[0].lower() for item in wanted}
    assert names - {"tiledseg"} <= pinned  # an extra names the others through the package


def test_entry_points_call_commands_with_options_they_have(entry_points):
    commands = get_command(app).commands
    for name, point in entry_points.items():
        words = point["command"].split()
        assert words[:3] == ["python", "-m", "tiledseg"], name
        command = commands[words[3]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, name
        assert set(re.findall(r"{(\w+)}", point["command"])) == set(point["parameters"]), name
    assert entry_points["main"]["command"].split()[3] == "train"


def test_project_parameters_do_not_collide_with_logged_settings(entry_points, tiny_experiment):
    settings = set(tiny_experiment().flatten())
    assert not settings & {key for point in entry_points.values() for key in point["parameters"]}


def test_every_command_has_help_with_an_example():
    for name, command in get_command(app).commands.items():
        assert command.help, name
        assert f"tiledseg {name}" in (command.epilog or ""), name
        for parameter in command.params:
            hidden = getattr(parameter, "hidden", False) or parameter.name == "help"
            assert hidden or parameter.help, f"{name} {parameter.name}"


def test_readme_names_every_command_and_no_other():
    readme = (PROJECT / "README.md").read_text()
    named = set(re.findall(r"tiledseg ([a-z][a-z-]+)\b(?! *:)", readme))
    commands = set(get_command(app).commands)
    assert named <= commands
    assert {"train", "evaluate", "predict", "prepare", "datasets"} <= named


def test_help_needs_no_keras():
    code = (
        "import sys; from tiledseg.cli import app\n"
        "try: app(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(sum(name in sys.modules for name in ('keras', 'tensorflow', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
