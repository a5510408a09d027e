"""Small networks, saved and loaded elsewhere, give the same answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tiledseg.config.architectures import ARCHITECTURES

PROJECT = Path(__file__).resolve().parents[2]
NAMES = list(ARCHITECTURES)


@pytest.fixture(scope="module")
def apart(small, tmp_path_factory) -> dict[str, float]:
    """Largest difference of the answers in a fresh process, by architecture."""
    folder = tmp_path_factory.mktemp("saved")
    for name in NAMES:
        one = small(name)
        one.model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", images=one.images, answer=one.answer)
    program = Path(__file__).with_name("saved_networks.py")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, str(program), str(folder)], check=True, env=environment)
    differences: dict[str, float] = json.loads((folder / "apart.json").read_text())
    return differences


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_same_answer_in_a_fresh_process(apart, name):
    assert apart[name] <= 1e-6
