import numpy as np
import optuna
import pytest

from tiledseg.errors import SweepError
from tiledseg.tuning.search import samplers
from tiledseg.tuning.search.samplers import (
    check_search,
    grid_points,
    make_pruner,
    make_sampler,
    make_trial_seed,
)

LISTED = """
parameters:
  model.num_layers: {type: int, low: 2, high: 3}
  model.base_kernels: {type: int, low: 3, high: 7, step: 2, when: {model.num_layers: 2}}
  model.dropout_rate: {type: float, low: 0.0, high: 0.1, step: 0.05}
"""


@pytest.mark.parametrize(
    ("sampler", "pruner", "objectives", "words"),
    [
        ("tpe", "asha", 2, ["asha", "objectives", "none"]),
        ("tpe", "hyperband", 3, ["hyperband", "objectives"]),
        ("tbe", "none", 1, ["'tbe'", "tpe"]),
        ("tpe", "mediam", 1, ["'mediam'", "median"]),
        ("grid", "none", 1, ["training.learning_rate", "step"]),
    ],
)
def test_what_does_not_go_together(sampler, pruner, objectives, words, space_of):
    with pytest.raises(SweepError) as refused:
        check_search(sampler, pruner, objectives, space_of())
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(("sampler", "package"), [("gp", "torch"), ("cmaes", "cmaes")])
def test_samplers_that_need_a_package(sampler, package, space_of, monkeypatch):
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    with pytest.raises(SweepError, match=f"pip install .*{package}"):
        check_search(sampler, "asha", 1, space_of())
    monkeypatch.setattr(samplers, "find_spec", lambda name: name)
    check_search(sampler, "asha", 1, space_of())


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_trial_gets_the_same_settings_whoever_runs_it(sampler, space_of, tiny_experiment):
    own, space = tiny_experiment().flatten(), space_of()

    def suggested(number):
        sampler_ = make_sampler(sampler, make_trial_seed(7, number), space, 20)
        study = optuna.create_study(sampler=sampler_, direction="maximize")
        return space.suggest(study.ask(), own)

    assert suggested(3) == suggested(3)
    assert len({str(suggested(number)) for number in range(8)}) == 8


@pytest.mark.parametrize("name", samplers.PRUNERS)
def test_pruners_let_good_trials_pass_and_end_bad_ones(name):
    pruner = make_pruner(name, 9)
    study = optuna.create_study(study_name="s", direction="maximize", pruner=pruner)

    def trained(quality):
        trial = study.ask()
        for epoch in range(1, 10):
            trial.report(quality * (1 - 0.5**epoch), epoch)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return epoch
        study.tell(trial, quality)
        return 9

    epochs = [trained(0.5 + 0.01 * (number * 7 % 10)) for number in range(20)]
    assert trained(0.9) == 9
    last = trained(0.1)
    assert (last == 9) == (name == "none")
    assert (sum(epochs) == 9 * 20) == (name == "none")
    if name == "asha":  # what a sweep uses unless it is told otherwise
        assert sum(epochs) < 0.6 * 9 * 20


@pytest.mark.parametrize("name", samplers.PRUNERS)
@pytest.mark.parametrize("epochs", [2, 4, 9])
def test_no_trial_ends_after_one_epoch(name, epochs):
    study = optuna.create_study(
        study_name="s", direction="maximize", pruner=make_pruner(name, epochs)
    )
    for quality in np.linspace(1, 0.1, 12):
        trial = study.ask()
        trial.report(quality, 1)
        assert not trial.should_prune()
        trial.report(quality, epochs)
        study.tell(trial, quality)


def test_a_grid_has_every_setting_once(space_of, tiny_experiment):
    points = grid_points(space_of(LISTED), tiny_experiment().flatten(), seed=1)
    assert len(points) == 3 * 3 + 3  # kernels vary only with two layers
    assert len({str(sorted(point.items())) for point in points}) == 12
    assert points == grid_points(space_of(LISTED), tiny_experiment().flatten(), seed=1)
    assert points != grid_points(space_of(LISTED), tiny_experiment().flatten(), seed=2)
