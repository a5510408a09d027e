import numpy as np
import pandas as pd

from tiledseg.tuning.results.pareto import find_front


def test_nobody_beats_the_front_and_everybody_else_is_beaten():
    rng = np.random.default_rng(7)
    names = ["valid/tiled/dice", "valid/tiled/seconds_per_megapixel"]
    table = pd.DataFrame(rng.random((50, 2)), columns=names)
    front = find_front(table.to_numpy().tolist(), names)

    def beats(one, two):
        better = one[names[0]] >= two[names[0]] and one[names[1]] <= two[names[1]]
        return better and tuple(one) != tuple(two)

    for i, row in table.iterrows():
        beaten = any(beats(other, row) for _, other in table.iterrows())
        assert front[i] == (not beaten)


def test_equal_trials_are_both_on_the_front():
    assert find_front([(1.0, 0.5), (1.0, 0.5)], ["valid/tiled/dice", "loss"]) == [True, True]


def test_the_front_of_nothing():
    assert find_front([], ["dice", "loss"]) == []
