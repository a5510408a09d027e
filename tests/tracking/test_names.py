"""Names in MLflow, and which direction of a metric is better."""

from types import SimpleNamespace

import pytest

from dashboards.trials import list_objectives
from tiledseg.tracking.names import (
    direction_sign,
    final_metric,
    has_direction,
    images_metric,
    is_images_metric,
    is_maximized,
    is_reproducible,
    is_scored,
    is_seam_figure,
    list_scored_classes,
)
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
    "metric",
    [
        "",
        "glossy",
        "learning_rate",
        "valid/whole/dice",
        "valid/tiled/gloss",
        "best_epoch",
        "valid/tiled/images/dice",
        "valid/tiled/images/dice/rare",
        "valid/seam/images/gradient_ratio",
    ],
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


@pytest.mark.parametrize("label", ["rare", "a/b", "images", "seconds_per_megapixel", "ei ß"])
def test_a_figure_and_the_number_of_its_images_are_told_apart_whatever_a_class_is_called(label):
    metric = final_metric("valid", "tiled", f"dice/{label}")
    images = images_metric(metric)
    assert is_maximized(metric) and not is_images_metric(metric)
    assert not has_direction(images) and is_images_metric(images)
    assert is_reproducible(metric) and is_reproducible(images)
    assert list_scored_classes([metric]) == list_scored_classes([images, metric]) == [label]


def test_one_class_has_no_names_of_classes():
    assert list_scored_classes(["valid/tiled/dice", "valid/tiled/images/dice", "val_dice"]) == []


def test_a_split_is_scored_even_where_no_score_is_defined():
    assert is_scored(["test/tiled/images/dice"], "test")
    assert not is_scored(["test/tiled/images/dice", "val_dice"], "valid")


def test_time_is_not_reproducible_and_seams_are_figures():
    assert not is_reproducible("valid/tiled/seconds_per_megapixel")
    assert is_seam_figure("valid/seam/gradient_ratio")
    assert not is_seam_figure("valid/seam/images/gradient_ratio")
