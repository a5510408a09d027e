import math

import pytest

from tiledseg.errors import SweepError
from tiledseg.tuning.search.objectives import (
    Objective,
    parse_objectives,
    refuse_undefined,
    refuse_unknown_classes,
)

CLASSES = ("background", "common", "rare")


def test_objectives_and_their_directions():
    found = parse_objectives(["valid/tiled/dice", "valid/tiled/seconds_per_megapixel", "val_loss"])
    assert [objective.direction for objective in found] == ["maximize", "minimize", "minimize"]
    assert found[0].value({"valid/tiled/dice": 0.5}) == 0.5
    with pytest.raises(SweepError, match="valid/tiled/dice"):
        found[0].value({"valid/resized/dice": 0.5})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["test/tiled/dice"], ["test", "valid/tiled/dice"]),
        (["valid/tiled/dise"], ["'valid/tiled/dise'", "valid/tiled/dice"]),
        (["val_loss", "val_loss"], ["twice"]),
        ([], ["objective"]),
    ],
)
def test_objectives_that_are_refused(names, words):
    with pytest.raises(SweepError) as refused:
        parse_objectives(names)
    for word in words:
        assert word in str(refused.value)


def test_a_class_may_be_the_objective():
    (found,) = parse_objectives(["valid/tiled/recall/rare"])
    assert (found.label, found.direction) == ("rare", "maximize")
    assert found.value({"valid/tiled/recall/rare": 0.5}) == 0.5
    refuse_unknown_classes([found], CLASSES)
    with pytest.raises(SweepError, match="no class 'rare'; the experiment has background, a, b"):
        refuse_unknown_classes([found], ("background", "a", "b"))
    with pytest.raises(SweepError, match=r"has one class.* use valid/tiled/recall$"):
        refuse_unknown_classes([found], ("background", "rare"))
    with pytest.raises(SweepError, match="no metric of a run"):
        parse_objectives(["valid/tiled/accuracy/rare"])


@pytest.mark.parametrize(
    ("metric", "shown", "words"),
    [
        ("valid/tiled/dice/rare", ("background", "common"), "no validation image has class rare"),
        ("valid/tiled/precision/rare", ("common",), "no validation image has class rare"),
        ("valid/tiled/dice", ("background",), "has a class but the background"),
        ("valid/resized/recall", ("background",), "has a class but the background"),
        ("val_dice", ("background",), "has a class but the background"),
        ("valid/tiled/dice/rare", ("rare",), ""),
        ("valid/tiled/dice", ("background", "common"), ""),
        ("val_dice_coef", ("common",), ""),
        ("valid/tiled/accuracy", ("background",), ""),
        ("val_loss", ("background",), ""),
        ("valid/seam/gradient_ratio", ("background",), ""),
    ],
)
def test_an_objective_that_no_trial_would_have_is_refused(metric, shown, words):
    objectives = parse_objectives([metric])
    refuse_undefined(objectives, ("background", "cell"), ["background"])  # one class: always 1
    if not words:
        refuse_undefined(objectives, CLASSES, shown)
        return
    with pytest.raises(SweepError, match=f"objective {metric} is not defined: .*{words}"):
        refuse_undefined(objectives, CLASSES, shown)


@pytest.mark.parametrize(
    ("metric", "metrics", "words"),
    [
        ("valid/tiled/precision/rare", {"valid/tiled/images/precision/rare": 0.0},
         "no validation image has a prediction of class rare"),
        ("valid/tiled/dice", {"valid/tiled/images/dice": 0.0},
         "no validation image has a target or a prediction of any class"),
        ("val_dice", {"val_dice": math.nan}, "not a number in this trial's best epoch"),
        ("valid/seam/max_difference", {"valid/seam/images/max_difference": 0.0},
         "the run has no metric valid/seam/max_difference"),
    ],
)  # fmt: skip
def test_a_trial_without_a_value_says_why(metric, metrics, words):
    with pytest.raises(SweepError, match=words):
        Objective(metric).value(metrics)
