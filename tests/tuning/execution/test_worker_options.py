import json

import pytest

from tiledseg.tuning.execution.worker_options import WorkerOptions, make_worker_options
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.search.objectives import parse_objectives
from tiledseg.tuning.session import begin_session
from tiledseg.tuning.study.definition import StudyDefinition


@pytest.fixture
def make(tiny_experiment, space_of, tmp_path):
    """What workers are told; keywords are options of the sweep."""

    def run(minutes=None, **options):
        training = {} if minutes is None else {"max_minutes": minutes}
        objectives = parse_objectives(["valid/tiled/dice", "val_loss"])
        definition = StudyDefinition(tiny_experiment(training=training), space_of(), objectives)
        options = SweepOptions(**options).fill_defaults("study", "sqlite:///sweeps.db")
        session = begin_session(options, definition, [])
        return make_worker_options(options, definition, session, "run", tmp_path, ("a", "b"))

    return run


def test_they_arrive_in_the_workers_process(make, tmp_path):
    told = make(objectives=("valid/tiled/dice", "val_loss"), hours=2, trials=7)
    arrived = WorkerOptions.from_message(json.loads(json.dumps(told.to_message())))
    assert arrived == told
    assert arrived.sweep.objectives == ("valid/tiled/dice", "val_loss")
    assert arrived.session.wanted == 7
    assert arrived.session.deadline == told.session.began + 7200
    assert arrived.root == str(tmp_path)


@pytest.mark.parametrize(
    ("minutes", "options", "seconds"),
    [
        (None, {}, 24 * 3600),
        (4, {}, 60 * 22),
        (4, {"trial_timeout": 5}, 300),
    ],
)
def test_how_long_a_trial_may_take(make, minutes, options, seconds):
    assert make(minutes, **options).limits.seconds == seconds


def test_how_much_memory_a_trial_may_take(make):
    assert make(trial_memory=1.5).limits.memory_gb == 1.5
    assert make(workers=2).limits.memory_gb == pytest.approx(make().limits.memory_gb / 2, rel=0.01)
