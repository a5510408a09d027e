"""Candidates for a training in full."""

import pytest

from tiledseg.tuning.results.candidates import Candidate

VALUES = (0.9, 0.8, 0.7, 0.6)


@pytest.fixture
def ranking(tiny_experiment):
    """Four trials, the best first; the third has the experiment's own settings."""
    return [
        Candidate(number, value, number == 2, tiny_experiment(training={"seed": number}))
        for number, value in enumerate(VALUES)
    ]
