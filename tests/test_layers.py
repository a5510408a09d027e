"""A room imports from those below it, never above; heavy libraries have one door each.

The checker reads imports from the source, those inside functions included, and is itself tried
on planted violations.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

import tiledseg

HOUSE = Path(__file__).resolve().parents[1]

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("notation", "faults"),
    ("settings",),
    ("legacy",),
    ("experiment", "objects", "labels"),
    ("data", "models", "tiling", "outlines"),
    ("shown",),
    ("prediction", "checking", "class_objects", "slides"),
    ("training", "evaluation", "slide_prediction"),
    ("pictures", "calibration"),
    ("tracking",),
    ("pipeline", "batch_prediction"),
    ("tuning",),
    ("console",),
    ("sweep_screen", "check_screen"),
    ("cli",),
    ("__main__",),
)
"""From the ground up. Rooms on one floor do not import each other."""
FACE, LEAF = "__init__", "backend"
"""The face imports anything, anyone may import the leaf, and the leaf imports errors alone."""
DOORS: Mapping[str, tuple[str, ...]] = {
    "mlflow": ("tiledseg/tracking/", "tiledseg/__main__.py"),
    "optuna": ("tiledseg/tuning/",),
    "streamlit": ("dashboards/",),
    "tensorflow": ("tiledseg/backend/",),
    "jax": ("tiledseg/backend/",),
    "torch": (),
    "openvino": ("tiledseg/backend/",),
}
"""Where a library may be imported; ``__main__`` does it to tell MLflow's errors from others."""


def imported(path: Path, homes: Mapping[str, str]) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it.

    Names taken from the package's face count as imports of their homes.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = [*path.parts[path.parts.index("tiledseg") : -level]] if level else []
                start = ".".join([*base, *([module] if module else [])])
                for alias in names:
                    full = f"{start}.{alias.name}"
                    yield homes.get(alias.name, full) if start == "tiledseg" else full
            case ast.Attribute(value=ast.Name(id="tiledseg"), attr=name) if name in homes:
                yield homes[name]
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def violations(house: Path, homes: Mapping[str, str]) -> list[str]:
    """Every import in ``house/tiledseg`` and ``house/dashboards`` that breaks a rule."""
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    found = []
    modules = [
        path
        for folder in ("tiledseg", "dashboards")
        for path in sorted((house / folder).rglob("*.py"))
    ]
    for path in modules:
        name = path.relative_to(house).as_posix()
        room = path.relative_to(house).parts[1].removesuffix(".py")
        imports = set(imported(path, homes))
        found.extend(_shut_doors(name, imports))
        if name.startswith("dashboards/") or room == FACE:
            continue
        if room not in floor_of and room != LEAF:
            found.append(f"{name}: room {room!r} is on no floor; add it to FLOORS")
            continue
        rooms = {target.split(".")[1] for target in imports if target.startswith("tiledseg.")}
        for target in sorted(rooms):
            if target in {room, LEAF, "__version__"}:
                continue
            own_floor = 1 if room == LEAF else floor_of[room]
            if floor_of.get(target, len(FLOORS)) >= own_floor:
                found.append(f"{name}: {room} imports {target}, which is not below it")
    return found


def _shut_doors(name: str, imports: Collection[str]) -> Iterator[str]:
    used = {target.split(".")[0] for target in imports}
    for library, doors in DOORS.items():
        if library in used and not name.startswith(doors):
            yield f"{name}: imports {library}, which only {', '.join(doors) or 'nobody'} may"


HOMES = tiledseg._HOMES


class TestTheHouse:
    def test_keeps_its_rules(self):
        assert violations(HOUSE, HOMES) == []

    def test_is_read_whole(self):
        """A checker that finds no files or no imports finds no violations either."""
        assert {"keras", "tiledseg.models.build_model"} <= set(
            imported(HOUSE / "tiledseg/training/train.py", HOMES)
        )
        inside_a_function = "tiledseg.pipeline.train"
        assert inside_a_function in set(imported(HOUSE / "tiledseg/cli/train.py", HOMES))

    def test_every_floor_is_inhabited(self):
        rooms = {path.stem for path in (HOUSE / "tiledseg").iterdir() if path.stem != "__pycache__"}
        listed = {room for rooms in FLOORS for room in rooms}
        assert listed <= rooms


class TestTheChecker:
    """Planted violations are found, and their harmless twins are not."""

    @pytest.mark.parametrize(
        ("module", "source", "words"),
        [
            ("data/images.py", "from tiledseg.training.fit import fit", "data imports training"),
            ("data/images.py", "def f():\n    from tiledseg.cli import app", "data imports cli"),
            ("data/images.py", "from tiledseg import models", "data imports models"),
            ("data/images.py", "from tiledseg.tiling import grid", "data imports tiling"),
            ("data/images.py", "from tiledseg import train", "data imports pipeline"),
            ("data/images.py", "import tiledseg\ntiledseg.train()", "data imports pipeline"),
            ("data/images.py", "from ..models import unet", "data imports models"),
            ("data/images.py", "from .. import models", "data imports models"),
            ("data/deep/a.py", "from ...models import unet", "data imports models"),
            ("data/images.py", "import tiledseg.models.unet as u", "data imports models"),
            (
                "data/images.py",
                "from importlib import import_module\nimport_module('tiledseg.models')",
                "data imports models",
            ),
            (
                "data/images.py",
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tiledseg.cli",
                "data imports cli",
            ),
            (
                "settings/a.py",
                "from tiledseg.config.experiment import x",
                "settings imports experiment",
            ),
            ("training/a.py", "import tiledseg.evaluation.scores", "training imports evaluation"),
            ("backend/a.py", "import tiledseg.config.strict_yaml", "backend imports notation"),
            ("cellar.py", "", "room 'cellar' is on no floor"),
            ("errors.py", "from tiledseg.cellar import x", "errors imports cellar"),
            ("training/a.py", "import mlflow", "imports mlflow"),
            ("training/a.py", "def f():\n    from mlflow.keras import x", "imports mlflow"),
            ("cli/a.py", "def f():\n    import mlflow.artifacts", "imports mlflow"),
            ("pipeline.py", "import mlflow", "imports mlflow"),
            ("tracking/a.py", "import optuna", "imports optuna"),
            ("cli/a.py", "import streamlit", "imports streamlit"),
            ("tiling/a.py", "async def f():\n    import tensorflow as tf", "imports tensorflow"),
            ("__init__.py", "import tensorflow", "imports tensorflow"),
        ],
    )
    def test_finds(self, tmp_path, module, source, words):
        self.plant(tmp_path, module, source)
        (found,) = violations(tmp_path, HOMES)
        assert words in found
        assert f"tiledseg/{module}" in found

    @pytest.mark.parametrize(
        ("module", "source"),
        [
            (
                "training/a.py",
                "from tiledseg.prediction.predictor import x\nfrom tiledseg.errors import y",
            ),
            ("data/images.py", "from . import atomic\nfrom .atomic import x\nimport tiledseg.data"),
            ("data/images.py", "from tiledseg.backend import load_backend"),
            ("backend/a.py", "from tiledseg.errors import x"),
            ("data/images.py", "from tiledseg import __version__, load_experiment"),
            ("tracking/a.py", "import tiledseg\nimport mlflow\ntiledseg.__file__"),
            ("tuning/a.py", "import optuna\nfrom tiledseg.pipeline import train"),
            ("__main__.py", "def f():\n    from mlflow.exceptions import MlflowException"),
            ("__init__.py", "import tiledseg.cli"),
            ("data/images.py", "'import mlflow'  # from tiledseg.cli import app"),
        ],
    )
    def test_lets_pass(self, tmp_path, module, source):
        self.plant(tmp_path, module, source)
        assert violations(tmp_path, HOMES) == []

    def test_only_dashboards_import_streamlit(self, tmp_path):
        (tmp_path / "dashboards").mkdir()
        (tmp_path / "dashboards" / "app.py").write_text("import streamlit, optuna, tiledseg.cli")
        (found,) = violations(tmp_path, HOMES)
        assert "dashboards/app.py: imports optuna" in found

    @staticmethod
    def plant(house: Path, module: str, source: str) -> None:
        path = house / "tiledseg" / module
        path.parent.mkdir(parents=True)
        path.write_text(source)


class TestTheFace:
    def test_importing_it_loads_nothing_heavy(self):
        heavy = [*DOORS, "keras", "cv2", "pydantic", "numpy", "pandas", "matplotlib"]
        program = (
            "import json, sys, tiledseg; "
            f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=HOUSE
        )
        assert json.loads(answer.stdout) == []

    def test_all_names_resolve_to_their_homes(self):
        assert sorted(tiledseg.__all__) == list(tiledseg.__all__) == sorted(HOMES)
        for name, home in HOMES.items():
            assert getattr(tiledseg, name) is getattr(import_module(home), name)
            assert getattr(tiledseg, name).__module__ == home

    def test_type_checkers_see_the_same_names(self):
        tree = ast.parse((HOUSE / "tiledseg" / "__init__.py").read_text())
        guarded = next(node for node in tree.body if isinstance(node, ast.If))
        seen = {
            alias.name: node.module
            for node in guarded.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert seen == HOMES

    def test_an_unknown_name_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="'tiledseg' has no attribute 'fit'"):
            tiledseg.fit  # noqa: B018
        assert set(tiledseg.__all__) <= set(dir(tiledseg))
