"""Which trials are the best of a study."""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tiledseg.tuning.execution import retries
from tiledseg.tuning.results.progress import find_best_trials

DICE, SECONDS = "valid/tiled/dice", "valid/tiled/seconds_per_megapixel"


def add(study, *values, excess=0.0, state=TrialState.COMPLETE, **changes):
    """A trial that exceeds its limit by some share."""
    values = list(values) if state == TrialState.COMPLETE else None
    study.add_trial(create_trial(state=state, values=values, constraints={"x": excess}, **changes))


def best(study, *metrics):
    trials = retries.list_counted(study.get_trials(deepcopy=False))
    return [trial.number for trial in find_best_trials(trials, metrics)]


@pytest.mark.parametrize(
    ("metric", "direction", "numbers"), [(DICE, "maximize", [2]), (SECONDS, "minimize", [1])]
)
def test_of_one_objective_the_earliest_of_equals(metric, direction, numbers):
    study = optuna.create_study(direction=direction)
    for value in (0.5, 0.1, 0.9, 0.9, 0.1):
        add(study, value)
    assert best(study, metric) == numbers


def test_of_several_the_front_the_best_in_the_first_one_first():
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(0.7, 1.0), (0.9, 3.0), (0.6, 2.0), (0.8, 2.0), (0.8, 2.0)]:
        add(study, *values)
    assert best(study, DICE, SECONDS) == [1, 3, 4, 0]


def test_what_exceeds_a_limit_or_did_not_end_well_is_not_the_best():
    study = optuna.create_study(direction="maximize")
    add(study, 0.9, excess=0.1)
    add(study, state=TrialState.PRUNED)
    assert best(study, DICE) == []
    add(study, 0.5, excess=-0.1)
    assert best(study, DICE) == [2]


def test_what_was_run_again_is_not_the_best():
    study = optuna.create_study(direction="maximize")
    add(study, 0.9)
    add(study, 0.5, system_attrs={"retry_history": [0]})
    assert best(study, DICE) == [1]


def test_no_trial():
    assert best(optuna.create_study(direction="maximize"), DICE) == []
