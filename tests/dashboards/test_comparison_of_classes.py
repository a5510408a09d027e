"""Comparisons of several classes: all of them in their colors, or one as a mask."""

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboards import comparison, store
from dashboards.comparison import Side, Source, join_scores, list_shared_classes, mean_dice
from dashboards.comparison_scene import build_scene
from dashboards.filmstrip import thumbnail_url
from dashboards.pyramids import open_pyramid
from dashboards.store import Predictions
from dashboards.viewer import scene_data
from dashboards.views.compare import _describe_mean, _item, table_of
from dashboards.views.models import scores_table
from dashboards.views.overview import _describe_classes
from tiledseg.images.writing import write_image, write_labels
from tiledseg.masks.classes import IGNORED, class_colors
from tiledseg.tracking.queries import RunSummary

LABELS = np.zeros((40, 60), np.uint8)
LABELS[5:20, 5:25] = 1
LABELS[15:35, 30:50] = 2
LABELS[0, 0] = IGNORED
NAMES = ["background", "cell", "nucleus"]


@pytest.fixture
def sides(tmp_path, monkeypatch) -> tuple[Side, Side]:
    """Tiled and non-tiled of a run of three labels, whose files are of this test."""
    write_image(tmp_path / "image.png", np.full((*LABELS.shape, 3), 90, np.uint8))
    for layer in ("target", "tiled", "resized"):
        write_labels(tmp_path / f"{layer}.png", LABELS, 3)
    rows = [
        {"split": "test", "image": "a", "mode": mode, "dice": 0.5, "dice/background": 0.9}
        | {"dice/cell": 0.25, "dice/nucleus": 0.75 if mode == "tiled" else 0.5}
        for mode in ("tiled", "resized")
    ]
    monkeypatch.setattr(store, "scores_of", lambda _: pd.DataFrame(rows))
    monkeypatch.setattr(store, "seams_of", lambda *_: None)
    monkeypatch.setattr(Predictions, "path", lambda _, layer, __: Path(tmp_path / f"{layer}.png"))
    names = {layer: {"a": "a.png"} for layer in store.LAYERS}
    monkeypatch.setattr(store, "predictions_of", lambda *key: Predictions(*key, names))
    metrics = {
        "test/tiled/dice": 0.5,
        "test/tiled/images/dice": 8.0,
        "test/tiled/dice/nucleus": 0.75,
        "test/tiled/images/dice/nucleus": 1.0,
        "test/tiled/images/dice/cell": 0.0,
    }
    run = RunSummary(
        "0" * 32, "r", "Cells", "train", "FINISHED", datetime.now(UTC), 1.0, "", "",
        params={}, metrics=metrics, tags={}, files="",
    )  # fmt: skip
    source = Source("v1", "v1", run)
    return Side(source, "tiled"), Side(source, "resized")


class TestCompare:
    def test_scores_of_a_class(self, sides):
        assert list_shared_classes(*sides) == NAMES
        assert join_scores("test", *sides)["left"].tolist() == [0.5]
        assert join_scores("test", *sides, "nucleus")["gain"].tolist() == [0.25]
        assert mean_dice(sides[0], "test", "nucleus") == 0.75
        assert mean_dice(sides[0], "test") == 0.5

    def test_all_classes_are_shown_as_colors(self, sides):
        shown = build_scene("test", "a", *sides)
        assert set(shown.shown) == {"image", "target-classes", "a-classes", "b-classes"}
        panes = {pane.id: pane for pane in shown.panes}
        assert panes["a-classes"].show == "image"
        assert panes["a"].note == "Dice 0.500"
        assert not any(pane.show == "uncertainty" for pane in shown.panes)
        layer = next(layer for layer in shown.layers if layer.id == "a-classes")
        tile = open_pyramid(layer.path, layer.kind).tile(0, 0, 0)
        assert tile[20, 40].tolist() == list(class_colors(3)[2])
        assert scene_data(shown, "")["layers"]

    def test_one_class_is_shown_as_a_mask(self, sides):
        shown = build_scene("test", "a", *sides, "nucleus")
        assert set(shown.shown) == {"image", "target", "a", "b"}
        masks = [layer for layer in shown.layers if layer.kind == "mask"]
        assert {layer.label_shown for layer in masks} == {2}
        assert next(pane for pane in shown.panes if pane.id == "a").note == "Dice 0.750"

    def test_thumbnails_of_two_classes_have_two_addresses(self, sides, tmp_path):
        path = tmp_path / "tiled.png"
        assert thumbnail_url(path, "mask", label=1) != thumbnail_url(path, "mask", label=2)

    def test_sides_of_other_classes_share_no_class(self, sides, monkeypatch):
        names = iter([NAMES, NAMES[:2]])
        monkeypatch.setattr(comparison.store, "classes_of", lambda _: next(names))
        assert list_shared_classes(*sides) == []


class TestAClassThatAnImageLacks:
    @pytest.fixture
    def lacking(self, sides, monkeypatch):
        rows = [
            {"split": "test", "image": "a", "mode": mode, "dice": 0.5, "dice/background": 0.9}
            | {"dice/cell": 0.5, "dice/nucleus": math.nan}
            for mode in ("tiled", "resized")
        ]
        monkeypatch.setattr(store, "scores_of", lambda _: pd.DataFrame(rows))
        return sides

    def test_is_a_dash_and_no_number(self, lacking):
        table = join_scores("test", *lacking, "nucleus")
        assert list(table_of(table, *lacking)[1][0].values) == [None, None, None]
        found = store.predictions_of("0" * 32, "test")
        item = _item(table.to_dict("records")[0], found, lacking[0], 2)
        assert (item.caption, item.badge) == ("- / -", "")
        shown = build_scene("test", "a", *lacking, "nucleus")
        assert next(pane for pane in shown.panes if pane.id == "a").note == "Dice -"

    def test_is_not_in_the_mean_which_says_how_many_have_it(self, sides):
        assert _describe_mean(sides[0], "test", "nucleus") == "0.7500** (1 image)"
        assert _describe_mean(sides[0], "test", "") == "0.5000** (8 images)"
        assert _describe_mean(sides[0], "test", "cell") == "-** (0 images)"
        assert _describe_mean(sides[1], "test", "") == "-**"

    def test_cards_show_each_class_with_its_images(self, sides):
        run = sides[0].source.run
        assert (
            _describe_classes(run, "test")
            == " Tiled, of each class: cell - (0 images), nucleus 0.7500 (1 image)."
        )
        table = scores_table(run)
        assert list(table) == [
            "test, tiled", "test, tiled, images", "test, non-tiled", "test, non-tiled, images"
        ]  # fmt: skip
        assert table.loc["Dice"].tolist()[:2] == [0.5, 8]
        assert table.loc["Dice, nucleus"].tolist()[:2] == [0.75, 1]
        cell = table.loc["Dice, cell"].tolist()
        assert math.isnan(cell[0])
        assert cell[1] == 0
