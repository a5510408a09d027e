"""The contracts in pyproject.toml hold, and a wrong import breaks them."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
COMPUTED = {"tiledseg/__init__.py", "tiledseg/backend"}
"""Where modules may be imported by a name in a text, which the contracts cannot see."""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the linter in a folder that holds both packages and pyproject.toml."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", "--no-logo"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copied(tmp_path) -> Path:
    """Both packages and their contracts, to be spoiled."""
    shutil.copy(HOUSE / "pyproject.toml", tmp_path)
    for package in ("tiledseg", "dashboards"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HOUSE / package, tmp_path / package, ignore=ignored)
    return tmp_path


def test_they_hold():
    done = lint_imports(HOUSE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "words"),
    [
        ("tiledseg/images/reading.py", "import tiledseg.cli.app", "tiledseg.images is not allowed"),
        ("tiledseg/config/model.py", "from tiledseg.legacy import SUFFIXES", "tiledseg.config"),
        ("tiledseg/cli/check.py", "def f():\n    import mlflow", "tiledseg.cli.check -> mlflow"),
        ("tiledseg/data/cache.py", "import tensorflow", "tiledseg.data.cache -> tensorflow"),
        ("dashboards/charts.py", "import optuna", "dashboards.charts -> optuna"),
    ],
)
def test_a_wrong_import_is_named(copied, module, line, words):
    path = copied / module
    path.write_text(f"{path.read_text()}\n{line}\n")
    done = lint_imports(copied)
    assert done.returncode == 1
    assert words in done.stdout


def test_a_new_room_must_be_given_its_place(copied):
    (copied / "tiledseg" / "cellar.py").write_text('"""A room that no contract names."""\n')
    done = lint_imports(copied)
    assert done.returncode == 1
    assert "tiledseg.cellar" in done.stdout


def test_modules_are_imported_by_statements():
    """An import by a name in a text would pass every contract."""
    found = set()
    for package in ("tiledseg", "dashboards"):
        for path in (HOUSE / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(node, "id", getattr(node, "attr", ""))
                if name in {"import_module", "__import__"}:
                    found.add(path.relative_to(HOUSE).as_posix())
    assert found
    assert {path for path in found if not path.startswith(tuple(COMPUTED))} == set()
