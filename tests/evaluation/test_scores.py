import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiledseg.evaluation.scores import (
    SCORES,
    Figure,
    label_scores,
    mask_scores,
    summarize_scores,
)
from tiledseg.masks.classes import IGNORED

ONE, SEVERAL = ("background", "cell"), ("background", "common", "rare")
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


def score(images, classes, mode="tiled"):
    """The table of some pairs of target and prediction, and what it comes to, by name."""
    rows = [
        {"split": "test", "mode": mode, "seconds_per_megapixel": 1.0}
        | label_scores(np.array(target, np.uint8), np.array(found, np.uint8), classes)
        for target, found in images
    ]
    table = pd.DataFrame(rows)
    return table, {figure.name: figure for figure in summarize_scores(table, classes)}


def test_images_are_averaged_not_pooled():
    def row(mode, dice, seconds):
        rest = dict.fromkeys(SCORES, dice)
        return {"split": "test", "mode": mode, **rest, "seconds_per_megapixel": seconds}

    table = pd.DataFrame([row("tiled", 1.0, 9.0), row("tiled", 0.0, 1.0), row("tiled", 0.5, 2.0)])
    figures = {figure.name: figure for figure in summarize_scores(table, ONE)}
    assert figures["dice"] == Figure("test", "tiled", "dice", pytest.approx(0.5), 3)
    speed = figures["seconds_per_megapixel"]
    assert (speed.value, speed.images) == (2.0, 3)


def test_one_class_counts_in_every_image():
    images = [([[0, 1]], [[0, 1]]), ([[0, 0]], [[0, 0]]), ([[0, 0]], [[0, 1]])]
    _, figures = score(images, ONE)
    assert [figures[name].images for name in SCORES] == [3] * 5
    assert figures["dice"].value == pytest.approx(2 / 3)
    assert figures["recall"].value == 1.0
    assert set(figures) == {*SCORES, "seconds_per_megapixel"}


class TestARareClass:
    """In one of eight images, and never found."""

    images = (([[0, 1, 1, 2]], [[0, 1, 1, 0]]), *[([[0, 1, 1, 0]], [[0, 1, 0, 0]])] * 7)

    def test_counts_where_it_is_and_nowhere_else(self):
        _, figures = score(self.images, SEVERAL)
        for name in ("dice", "iou", "recall"):
            assert figures[f"{name}/rare"] == Figure("test", "tiled", f"{name}/rare", 0.0, 1)
        assert figures["precision/rare"] == Figure("test", "tiled", "precision/rare", None, 0)

    def test_weighs_as_much_as_a_common_one(self):
        _, figures = score(self.images, SEVERAL)
        common = figures["dice/common"]
        assert (common.value, common.images) == (pytest.approx((1 + 7 * 2 / 3) / 8), 8)
        assert figures["dice"].value == pytest.approx(common.value / 2)
        assert figures["dice"].images == 8
        assert figures["precision"].value == 1.0, "of the one class that was predicted"

    def test_is_missing_from_the_rows_of_images_that_lack_it(self):
        table, _ = score(self.images, SEVERAL)
        assert table["dice/rare"].tolist() == pytest.approx([0.0] + [math.nan] * 7, nan_ok=True)
        assert table["dice"].tolist() == pytest.approx([0.5] + [2 / 3] * 7)
        assert "nan" not in table.to_csv()


@pytest.mark.parametrize(
    ("target", "found", "dice", "precision", "recall"),
    [
        ([[0, 1, 1]], [[0, 1, 1]], None, None, None),
        ([[0, 1, 1]], [[0, 1, 2]], 0.0, 0.0, None),
        ([[0, 1, 2]], [[0, 1, 1]], 0.0, None, 0.0),
        ([[0, 1, IGNORED]], [[0, 1, 1]], None, None, None),
        ([[0, 1, IGNORED]], [[0, 1, 2]], None, None, None),
        ([[0, 2, IGNORED]], [[0, 2, 0]], 1.0, 1.0, 1.0),
    ],
    ids=["nowhere", "predicted", "missed", "ignored", "ignored and predicted", "known and found"],
)
def test_a_class_at_its_limits(target, found, dice, precision, recall):
    _, figures = score([(target, found)], SEVERAL)
    for name, value in (("dice", dice), ("iou", dice), ("precision", precision)):
        figure = figures[f"{name}/rare"]
        assert (figure.value, figure.images) == (value, 0 if value is None else 1), name
    assert figures["recall/rare"].value == recall
    common = [figures[f"dice/{name}"].value for name in ("common", "rare")]
    defined = [value for value in common if value is not None]
    assert figures["dice"].value == pytest.approx(sum(defined) / len(defined))


@pytest.mark.parametrize("label", [0, IGNORED])
def test_without_any_class_there_is_no_mean(label):
    _, figures = score([([[label, label]], [[0, 0]])], SEVERAL)
    for name in ("dice", "iou", "precision", "recall", "dice/common", "dice/rare"):
        assert (figures[name].value, figures[name].images) == (None, 0), name
    known = label == 0
    assert figures["accuracy"].value == (1.0 if known else None)
    assert figures["dice/background"].images == int(known)


def count_slowly(images, classes):
    """Every mean and its number of images, pixel by pixel, without NumPy."""
    found, having = {}, {score_name: set() for score_name in SCORES[:-1]}
    for label, name in enumerate(classes):
        values = {score_name: {} for score_name in SCORES[:-1]}
        for number, (target, predicted) in enumerate(images):
            pairs = [
                (true == label, guess == label)
                for true, guess in zip(target, predicted, strict=True)
                if true != IGNORED
            ]
            both = sum(true and guess for true, guess in pairs)
            either = sum(true or guess for true, guess in pairs)
            trues, guesses = (sum(pair[side] for pair in pairs) for side in (0, 1))
            if either:
                values["dice"][number] = 2 * both / (trues + guesses)
                values["iou"][number] = both / either
            if guesses:
                values["precision"][number] = both / guesses
            if trues:
                values["recall"][number] = both / trues
        for score_name, each in values.items():
            mean = sum(each.values()) / len(each) if each else None
            found[f"{score_name}/{name}"] = (mean, len(each))
            having[score_name] |= set(each) if label else set()
    for score_name, numbers in having.items():
        means = [found[f"{score_name}/{name}"][0] for name in classes[1:]]
        means = [mean for mean in means if mean is not None]
        found[score_name] = (sum(means) / len(means) if means else None, len(numbers))
    return found


PIXELS = 5
image_pairs = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0, 0, 1, 2, 3, IGNORED]), min_size=PIXELS, max_size=PIXELS),
        st.lists(st.sampled_from([0, 0, 1, 2, 3]), min_size=PIXELS, max_size=PIXELS),
    ),
    min_size=1,
    max_size=6,
)


@given(image_pairs)
def test_means_over_images_and_classes_equal_a_slow_count(images):
    classes = ("background", "a", "b", "c")
    _, figures = score([([target], [found]) for target, found in images], classes)
    for name, (mean, count) in count_slowly(images, classes).items():
        assert figures[name].value == (None if mean is None else pytest.approx(mean)), name
        assert figures[name].images == count, name


@settings(max_examples=40)
@given(image_pairs)
def test_images_without_a_class_change_nothing_for_it(images):
    classes = ("background", "a", "b", "c")
    pairs = [([target], [found]) for target, found in images]
    empty = ([[0] * PIXELS], [[0] * PIXELS])
    _, before = score(pairs, classes)
    _, after = score([*pairs, empty, empty], classes)
    for name, figure in before.items():
        if name.partition("/")[0] in SCORES[:-1] and not name.endswith("background"):
            assert after[name].images == figure.images, name
            same = None if figure.value is None else pytest.approx(figure.value)
            assert after[name].value == same, name
