"""The face of the package: its names, where they live, and what importing it loads."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tiledseg

HOUSE = Path(__file__).resolve().parents[1]
HOMES = tiledseg._HOMES
LIBRARIES = ("mlflow", "optuna", "streamlit", "tensorflow", "jax", "torch", "openvino")


class TestTheFace:
    def test_importing_it_loads_nothing_heavy(self):
        heavy = [*LIBRARIES, "keras", "cv2", "pydantic", "numpy", "pandas", "matplotlib"]
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
