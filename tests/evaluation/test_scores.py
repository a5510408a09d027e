import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.evaluation.scores import (
    SCORES,
    evaluate_images,
    mask_scores,
    summarize_scores,
    summarize_seams,
)
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

EMPTY, FULL = np.zeros((4, 5), bool), np.ones((4, 5), bool)


def test_scores_of_a_hand_computed_mask():
    target = np.array([[1, 1, 1, 0, 0, 0, 0, 0]], bool)
    predicted = np.array([[0, 1, 1, 1, 0, 0, 0, 0]], bool)
    assert mask_scores(target, predicted) == pytest.approx(
        {"dice": 4 / 6, "iou": 2 / 4, "precision": 2 / 3, "recall": 2 / 3, "accuracy": 6 / 8}
    )


@pytest.mark.parametrize(
    ("target", "predicted", "expected"),
    [
        (EMPTY, EMPTY, (1, 1, 1, 1, 1)),
        (FULL, FULL, (1, 1, 1, 1, 1)),
        (EMPTY, FULL, (0, 0, 0, 1, 0)),
        (FULL, EMPTY, (0, 0, 0, 0, 0)),
    ],
)
def test_scores_at_the_corners(target, predicted, expected):
    assert mask_scores(target, predicted) == dict(zip(SCORES, expected, strict=True))


@given(st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1))
def test_dice_and_iou_are_two_views_of_one_overlap(target_bits, predicted_bits):
    target, predicted = (
        np.array([bits >> place & 1 for place in range(24)], bool).reshape(4, 6)
        for bits in (target_bits, predicted_bits)
    )
    scores = mask_scores(target, predicted)
    assert scores["dice"] == pytest.approx(2 * scores["iou"] / (1 + scores["iou"]))
    assert scores["dice"] == mask_scores(predicted, target)["dice"]
    assert all(0 <= value <= 1 for value in scores.values())


def test_masks_of_different_size_are_refused():
    with pytest.raises(ValueError, match="target is"):
        mask_scores(EMPTY, EMPTY.T)


def test_images_are_averaged_not_pooled():
    def row(mode, dice, seconds):
        rest = dict.fromkeys(SCORES, dice)
        return {"split": "test", "mode": mode, **rest, "seconds_per_megapixel": seconds}

    table = pd.DataFrame([row("tiled", 1.0, 9.0), row("tiled", 0.0, 1.0), row("tiled", 0.5, 2.0)])
    metrics = summarize_scores(table)
    assert metrics["test/tiled/dice"] == pytest.approx(0.5)
    assert metrics["test/tiled/seconds_per_megapixel"] == 2.0


def test_seams_keep_the_worst_difference():
    seams = [
        {
            "gradient_ratio": 1.0,
            "gradient_against_single_pass": 1.0,
            "max_difference": 0.25,
            "flipped_labels": 3.0,
        },
        {
            "gradient_ratio": 3.0,
            "gradient_against_single_pass": 1.5,
            "max_difference": 0.5,
            "flipped_labels": 4.0,
        },
        {"gradient_ratio": 2.0},
    ]
    assert summarize_seams("valid", seams) == {
        "valid/seam/gradient_ratio": 2.0,
        "valid/seam/gradient_against_single_pass": 1.25,
        "valid/seam/max_difference": 0.5,
        "valid/seam/flipped_labels": 7.0,
    }


def test_every_image_gets_a_row_per_mode_and_seams_are_measured_on_the_first(
    tiny_dataset, tiny_experiment
):
    folder = tiny_dataset()
    experiment = tiny_experiment()
    dataset = load_dataset(experiment.dataset, folder.parent)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    found = list(evaluate_images(predictor, dataset.splits["test"], "test", experiment))
    assert [item.sample for item in found] == list(dataset.splits["test"])
    rows = pd.DataFrame([row for item in found for row in item.rows])
    assert sorted(rows["mode"]) == ["resized", "resized", "tiled", "tiled"]
    assert rows[list(SCORES)].notna().all().all()
    assert "max_difference" in found[0].seams
    assert "max_difference" not in found[1].seams
    assert found[0].seams["max_difference"] <= 1e-5
    assert found[0].seams["flipped_labels"] == 0


def test_scores_follow_the_probabilities(tiny_dataset, tiny_experiment):
    experiment = tiny_experiment()
    dataset = load_dataset(experiment.dataset, tiny_dataset().parent)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    item = next(evaluate_images(predictor, dataset.splits["valid"], "valid", experiment))
    cache = PixelCache()
    target = np.array(cache.mask(dataset.splits["valid"][0].mask, 127), bool)
    assert np.array_equal(item.target, target)
    prediction = item.probabilities["tiled"][..., 0] >= 0.5
    assert item.scores["tiled"]["dice"] == mask_scores(target, prediction)["dice"]
