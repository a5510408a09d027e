"""Names are the field's terms: words that were given up are the name of nothing any more."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
GIVEN_UP_LINES = """
    calibrate calibrated calibration lookalike lookalikes reach soundness container containers
    recipe recipes recolored truth truths guess guesses guessed invented missed crew ledger
    verdict closing sitting sittings finals finalist finalists interruption interruptible
    fetched choosing chooser colour colours grey centre neighbour notation faults labelled
"""
GIVEN_UP = frozenset(GIVEN_UP_LINES.split())


def parts(name: str) -> set[str]:
    """The words of a name in snake or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def names_in(path: Path) -> Iterator[str]:
    """The module, its classes, functions, settings and constants."""
    yield path.parent.name if path.stem == "__init__" else path.stem
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) if name.isupper():
                yield name


def given_up(path: Path) -> list[str]:
    return [name for name in names_in(path) if parts(name) & GIVEN_UP]


@pytest.mark.parametrize("package", ["tiledseg", "dashboards"])
def test_no_name_holds_a_word_that_was_given_up(package):
    paths = sorted((HOUSE / package).rglob("*.py"))
    found = {path.relative_to(HOUSE).as_posix(): given_up(path) for path in paths}
    assert len(found) > 30
    assert {path: names for path, names in found.items() if names} == {}


def test_the_search_sees_names_of_every_kind(tmp_path):
    path = tmp_path / "ledger.py"
    path.write_text(
        "GUESSES = 1\nclass WorkerCrew:\n    truth: int = 0\n    def is_missed(self): ...\n"
        "def colourful(): ...\ndef plain(): ...\n"
    )
    assert given_up(path) == ["ledger", "GUESSES", "WorkerCrew", "truth", "is_missed"]


@pytest.mark.parametrize("setting", ["calibrate", "lookalike_fraction", "hard_fraction"])
def test_old_settings_are_unknown_keys(setting):
    from tiledseg.config.experiment import parse_experiment
    from tiledseg.errors import ExperimentError

    with pytest.raises(ExperimentError, match=f"unknown key training.{setting}"):
        parse_experiment(f"dataset: {{name: A}}\ntraining: {{{setting}: 1}}", "a")
