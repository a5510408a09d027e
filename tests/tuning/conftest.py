"""Studies whose trials cost milliseconds: real storage, real processes, no training."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from tiledseg.config.strict_yaml import parse_yaml
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.results import report
from tiledseg.tuning.search.space import parse_space
from tiledseg.tuning.sweep import sweep

FAKE = (sys.executable, str(Path(__file__).with_name("fake_trial.py")))

SPACE = """
parameters:
  training.learning_rate: {type: float, low: 1.0e-4, high: 1.0e-1, log: true}
  model.num_layers: {type: int, low: 2, high: 4}
  model.base_filters: {type: categorical, choices: [4, 8]}
"""


@pytest.fixture(autouse=True)
def _ready_store(own_tables):
    """Every test here has an MLflow store."""


@pytest.fixture(scope="session")
def space_of():
    """A search space from YAML text."""

    def make(text: str = SPACE, source: str = "tiny.yaml"):
        return parse_space(parse_yaml(text), source)

    return make


class Watcher:
    """Remembers what a sweep said, and may act on it."""

    def __init__(self, act=None):
        self.opened = None
        self.seen = []
        self._act = act

    def on_study(self, name, storage, run_id):
        self.opened = (name, storage, run_id)

    def on_progress(self, progress):
        self.seen.append(progress)
        if self._act:
            self._act(progress)


@pytest.fixture(scope="session")
def watcher():
    """An observer that may act on what it sees."""
    return Watcher


@pytest.fixture
def fake_sweep(tiny_experiment, space_of, monkeypatch, tmp_path):
    """Run a sweep of fake trials in this process; keywords are options, and the plan's.

    Pictures take seconds, and are drawn only where a test asks for them.
    """
    draw_plots = report.draw_plots

    def run(space=None, *, plan=None, observer=None, experiment=None, drawn=False, **options):
        monkeypatch.setenv("FAKE_TRIAL", json.dumps(plan or {}))
        monkeypatch.setattr(report, "draw_plots", draw_plots if drawn else lambda *_: None)
        options = SweepOptions(**{"trials": 6, "pruner": "", **options})
        return sweep(
            experiment or tiny_experiment(training={"epochs": 4}),
            space or space_of(),
            options,
            observer or Watcher(),
            export_to=tmp_path / "experiments",
            command=FAKE,
        )

    return run


@pytest.fixture(scope="session")
def fake_command():
    """The program that stands in for a trial's."""
    return FAKE


@pytest.fixture(scope="session")
def changed():
    """A frozen dataclass with some fields replaced."""
    return dataclasses.replace
