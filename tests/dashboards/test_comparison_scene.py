"""The viewer's panes of a comparison."""

from dashboards.comparison import join_scores
from dashboards.comparison_scene import build_scene
from dashboards.store import Predictions
from dashboards.viewer import scene_data


def test_panes_of_tiled_against_resized(store_sides):
    stem = join_scores("test", store_sides["v1.tiled"], store_sides["v1.resized"])["image"][0]
    shown = build_scene("test", stem, store_sides["v1.tiled"], store_sides["v1.resized"])
    assert [pane.id for pane in shown.panes] == [
        "image", "target", "b", "a", "difference", "a-uncertainty",
    ]  # fmt: skip
    assert [pane.label for pane in shown.panes][:4] == [
        "Image",
        "Target",
        "Non-tiled (resized)",
        "Tiled",
    ]
    assert shown.panes[3].note.startswith("Dice 0.")
    assert (shown.size.height, shown.size.width) == (1100, 1100)
    assert shown.size.levels == 3


def test_seams_are_those_of_the_grid(store_sides):
    stem = join_scores("test", store_sides["v1.tiled"], store_sides["v1.resized"])["image"][0]
    shown = build_scene("test", stem, store_sides["v1.tiled"], store_sides["v1.resized"])
    assert shown.seams is not None
    assert len(shown.seams["rows"]) == 2  # three windows of 512 at most over 1100
    data = scene_data(shown, "")
    assert all(0 < at < 1100 for at in data["grid"]["rows"])


def test_two_versions_are_told_apart_by_name(store_sides):
    stem = join_scores("test", store_sides["v1.tiled"], store_sides["v2.tiled"])["image"][0]
    shown = build_scene("test", stem, store_sides["v1.tiled"], store_sides["v2.tiled"])
    assert {"Tiled v1", "Tiled v2"} <= {pane.label for pane in shown.panes}


def test_target_beside_tiled_needs_no_second_mask(store_sides):
    stem = join_scores("test", store_sides["v1.tiled"], store_sides["v1.target"])["image"][0]
    shown = build_scene("test", stem, store_sides["v1.tiled"], store_sides["v1.target"])
    assert "difference" not in [pane.id for pane in shown.panes]
    assert shown.swiped == ("target", "a")


def test_target_against_target_is_shown(store_sides):
    stem = join_scores("test", store_sides["v1.target"], store_sides["v2.target"])["image"][0]
    shown = build_scene("test", stem, store_sides["v1.target"], store_sides["v2.target"])
    assert [pane.id for pane in shown.panes] == ["image", "target"]
    assert shown.swiped == ("image", "target")


def test_target_against_target_where_no_image_is_kept(store_sides, monkeypatch):
    kept = Predictions.path
    monkeypatch.setattr(
        Predictions,
        "path",
        lambda self, layer, stem: None if layer == "image" else kept(self, layer, stem),
    )
    stem = join_scores("test", store_sides["v1.target"], store_sides["v1.target"])["image"][0]
    shown = build_scene("test", stem, store_sides["v1.target"], store_sides["v1.target"])
    assert [pane.id for pane in shown.panes] == ["target"]
    assert set(shown.swiped) == {"target"}
    assert scene_data(shown, "")["width"] == 1100
