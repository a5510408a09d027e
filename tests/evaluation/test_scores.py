import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.evaluation.scores import SCORES, mask_scores, summarize_scores

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
