"""Names in MLflow, and which direction of a metric is better."""

from types import SimpleNamespace

import pytest

from dashboards.trials import list_objectives
from tiledseg.tracking.names import direction_sign, has_direction, is_maximized
from tiledseg.tuning.search.objectives import parse_objectives


@pytest.mark.parametrize(
    "metric",
    [
        "valid/tiled/dice",
        "test/resized/recall",
        "valid/tiled/dice/glossy",
        "valid/tiled/iou/peak seconds",
        "val_dice_coef",
        "val_dice_glossy",
        "dice",
    ],
)
def test_more_is_better(metric):
    assert is_maximized(metric)
    assert direction_sign(metric) == 1


@pytest.mark.parametrize(
    "metric",
    [
        "loss",
        "val_loss",
        "valid/tiled/seconds_per_megapixel",
        "test/seam/max_difference",
        "training_seconds",
        "peak_memory_gb",
    ],
)
def test_less_is_better(metric):
    assert not is_maximized(metric)
    assert direction_sign(metric) == -1


@pytest.mark.parametrize(
    "metric", ["", "glossy", "learning_rate", "valid/whole/dice", "valid/tiled/gloss", "best_epoch"]
)
def test_of_any_other_number_nothing_is_known(metric):
    assert not has_direction(metric)
    with pytest.raises(ValueError, match="has no direction; use one such as valid/tiled/dice"):
        is_maximized(metric)


def test_a_sweep_and_the_page_agree():
    names = ["valid/tiled/dice", "val_loss", "valid/seam/max_difference"]
    for objective in parse_objectives(names):
        assert (objective.direction == "maximize") == is_maximized(objective.metric)
    metrics = dict.fromkeys([*names, "learning_rate", "valid/tiled/dice/glossy"], 0.5)
    run = SimpleNamespace(metrics=metrics)
    assert set(list_objectives([run])) == {*names, "valid/tiled/dice/glossy"}
