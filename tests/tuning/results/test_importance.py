import math
import random

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from tiledseg.tuning.results.importance import measure_importance

DICE, SECONDS = "valid/tiled/dice", "valid/tiled/seconds_per_megapixel"
RATE, FILTERS, SEED = "training.learning_rate", "model.base_filters", "training.seed"
SPACE = {
    RATE: FloatDistribution(1e-4, 1e-1, log=True),
    FILTERS: CategoricalDistribution([4, 8, 16]),
    SEED: FloatDistribution(0.0, 1.0),
}


def planted(count=60, directions=("maximize",), excess=0.0):
    """Dice depends on the rate alone, and seconds on the number of filters alone."""
    study, rng = optuna.create_study(directions=directions), random.Random(3)
    for _ in range(count):
        rate, filters = 10 ** rng.uniform(-4, -1), rng.choice([4, 8, 16])
        dice = 0.8 - 0.1 * (math.log10(rate) + 2.5) ** 2 + rng.gauss(0, 0.01)
        values = {"maximize": dice, "minimize": 0.01 * filters + rng.gauss(0, 0.001)}
        study.add_trial(
            create_trial(
                values=[values[direction] for direction in directions],
                params={RATE: rate, FILTERS: filters, SEED: rng.random()},
                distributions=SPACE,
                constraints={"x": excess},
            )
        )
    return study


def test_it_finds_what_was_planted():
    found = measure_importance(planted(), [DICE])
    assert list(found["objective"]) == [DICE] * 3
    assert found["setting"][0] == RATE
    assert found["share"][0] > 0.5
    assert list(found["share"]) == sorted(found["share"], reverse=True)
    assert found["share"].sum() == pytest.approx(1.0)


def test_of_two_objectives_each_has_its_own():
    """Each in its own direction: what is worst for the Dice is not what matters for it."""
    study = planted(directions=("maximize", "minimize"))
    found = measure_importance(study, [DICE, SECONDS])
    assert list(dict.fromkeys(found["objective"])) == [DICE, SECONDS]
    first = found.groupby("objective").first()["setting"]
    assert first.to_dict() == {DICE: RATE, SECONDS: FILTERS}
    alone = measure_importance(planted(), [DICE])
    shares = found[found["objective"] == DICE].set_index("setting")["share"]
    assert shares.to_dict() == pytest.approx(alone.set_index("setting")["share"].to_dict())


def test_it_is_what_optuna_measures():
    study = planted()
    found = measure_importance(study, [DICE]).set_index("setting")["share"]
    assert found.to_dict() == pytest.approx(optuna.importance.get_param_importances(study))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_trials(count):
    assert measure_importance(planted(count), [DICE]).empty


def test_trials_beyond_a_limit_do_not_count():
    assert measure_importance(planted(excess=0.5), [DICE]).empty


def test_equal_values():
    study = optuna.create_study(direction="maximize")
    for number in range(8):
        params = {SEED: number / 8}
        study.add_trial(create_trial(value=0.5, params=params, distributions={SEED: SPACE[SEED]}))
    assert measure_importance(study, [DICE]).empty
