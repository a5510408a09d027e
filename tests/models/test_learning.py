"""Networks learn within two hundred steps, by the benchmark that shows it for all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("UNet", "AttentionUNet")


@pytest.fixture(scope="module")
def dice() -> dict[str, list[float]]:
    """Dice on validation crops after each quarter of the steps, by architecture."""
    command = [sys.executable, "benchmarks/architectures.py", *NAMES, "--steps", "100"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True
    )
    rows = (line.split() for line in ended.stdout.splitlines()[1:])
    return {name: [float(score) for score in scores[:4]] for name, _, *scores in rows}


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_learns_drawn_smears(dice, name):
    assert max(dice[name]) >= 0.80
