import pytest

from tiledseg.tuning.results.candidates import choose_candidates


@pytest.mark.parametrize(
    ("count", "numbers"),
    [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])],
)
def test_the_own_settings_take_part_where_there_are_several(ranking, count, numbers):
    assert [one.number for one in choose_candidates(ranking, count)] == numbers


def test_without_the_own_trial_the_best_take_part(ranking):
    assert [one.number for one in choose_candidates(ranking[:2], 2)] == [0, 1]
