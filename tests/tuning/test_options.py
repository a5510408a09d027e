from dataclasses import fields

import pytest

from tiledseg.errors import SweepError
from tiledseg.tuning.options import SweepOptions


def test_every_option_has_a_description():
    for one in fields(SweepOptions):
        assert one.metadata["description"].endswith("."), one.name


def test_the_defaults():
    filled = SweepOptions().fill_defaults("Tiny-wide", "sqlite:///sweeps.db")
    assert (filled.study, filled.storage) == ("Tiny-wide", "sqlite:///sweeps.db")
    assert (filled.trials, filled.pruner) == (20, "asha")
    assert filled.objectives == ("valid/tiled/dice",)
    several = SweepOptions(objectives=("valid/tiled/dice", "val_loss"), hours=1)
    assert several.fill_defaults("a", "b").pruner == "none"
    assert several.fill_defaults("a", "b").trials == 0


def test_what_is_given_stays():
    given = SweepOptions(
        study="mine", storage="sqlite:///x.db", trials=3, pruner="median", objectives=("loss",)
    )
    assert given.fill_defaults("a", "b") == given


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [("trials", -1, 0), ("workers", 0, 1), ("trial_minutes", -0.5, 0), ("hours", float("nan"), 0)],
)
def test_numbers_that_are_too_small(name, value, least):
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(SweepError, match=f"{flag} is {value}; use {least} or more"):
        SweepOptions(**{name: value})
