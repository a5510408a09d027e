"""Processes that start on a fresh store at once: one makes it, the others wait."""

import subprocess
import sys

import pytest

LOOK = """
import sys
from tiledseg.tracking.store import connect
connect().create_experiment(sys.argv[1])
"""


@pytest.mark.soak
@pytest.mark.parametrize("repetition", range(3))
def test_four_at_once(repetition):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOOK, f"E{repetition}{number}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    outputs = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
