import pytest

from dashboards import comparison, store
from dashboards.comparison import join_scores, list_sides, list_sources
from dashboards.comparison_scene import build_scene
from dashboards.run_table import run_table
from dashboards.store import Predictions
from dashboards.viewer import scene_data
from dashboards.views.compare import describe_pixel_format, order, table_of, zip_masks


@pytest.fixture
def found(at_store):
    return list_sides(list_sources("Discs", run_table().runs(), store.versions()))


def test_the_champion_comes_first_then_the_other_versions(found):
    assert list(found)[:6] == [
        f"v{version}.{mode}" for version in (2, 1) for mode in ("tiled", "resized", "target")
    ]
    assert "champion" in found["v2.tiled"].title


def test_a_trial_without_pictures_shares_no_image(found):
    trial = next(side for side in found.values() if side.source.run.kind == "trial")
    assert join_scores("test", trial, found["v1.tiled"]).empty


def test_the_worst_image_comes_first(found):
    table = join_scores("test", found["v1.tiled"], found["v1.resized"])
    assert table["left"].is_monotonic_increasing
    assert table["gain"].tolist() == pytest.approx((table["left"] - table["right"]).tolist())
    assert len(table) == 2


def test_orders(found):
    table = join_scores("test", found["v1.tiled"], found["v2.tiled"])
    assert order(table, "A wins")["gain"].is_monotonic_decreasing
    assert order(table, "B wins")["gain"].is_monotonic_increasing
    assert order(table, "by name")["image"].is_monotonic_increasing
    assert order(table, "worst first").equals(table)


def test_a_target_has_no_score(found):
    table = join_scores("test", found["v1.tiled"], found["v1.target"])
    assert list(table) == ["image", "left"]


def test_the_table_shows_what_there_is(found):
    left, right = found["v1.tiled"], found["v1.resized"]
    table = join_scores("test", left, right)
    columns, rows = table_of(table, left, right)
    assert [column.title for column in columns] == [
        "A: Tiled",
        "B: Non-tiled (resized)",
        "A minus B",
    ]
    assert [row.id for row in rows] == table["image"].tolist()
    assert list(rows[0].values) == table.loc[0, ["left", "right", "gain"]].tolist()
    table.loc[1, ["right", "gain"]] = float("nan")  # an image that B has no score of
    assert list(table_of(table, left, right)[1][1].values)[1:] == [None, None]
    columns, rows = table_of(table[["image"]], found["v1.target"], found["v1.target"])
    assert columns == []
    assert [list(row.values) for row in rows] == [[], []]


def test_panes_of_tiled_against_resized(found):
    stem = join_scores("test", found["v1.tiled"], found["v1.resized"])["image"][0]
    shown = build_scene("test", stem, found["v1.tiled"], found["v1.resized"])
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


def test_seams_are_those_of_the_grid(found):
    stem = join_scores("test", found["v1.tiled"], found["v1.resized"])["image"][0]
    shown = build_scene("test", stem, found["v1.tiled"], found["v1.resized"])
    assert shown.seams is not None
    assert len(shown.seams["rows"]) == 2  # three windows of 512 at most over 1100
    data = scene_data(shown, "")
    assert all(0 < at < 1100 for at in data["grid"]["rows"])


def test_two_versions_are_told_apart_by_name(found):
    stem = join_scores("test", found["v1.tiled"], found["v2.tiled"])["image"][0]
    shown = build_scene("test", stem, found["v1.tiled"], found["v2.tiled"])
    assert {"Tiled v1", "Tiled v2"} <= {pane.label for pane in shown.panes}


def test_target_beside_tiled_needs_no_second_mask(found):
    stem = join_scores("test", found["v1.tiled"], found["v1.target"])["image"][0]
    shown = build_scene("test", stem, found["v1.tiled"], found["v1.target"])
    assert "difference" not in [pane.id for pane in shown.panes]
    assert shown.swiped == ("target", "a")


def test_target_against_target_is_shown(found):
    stem = join_scores("test", found["v1.target"], found["v2.target"])["image"][0]
    shown = build_scene("test", stem, found["v1.target"], found["v2.target"])
    assert [pane.id for pane in shown.panes] == ["image", "target"]
    assert shown.swiped == ("image", "target")


def test_target_against_target_where_no_image_is_kept(found, monkeypatch):
    kept = Predictions.path
    monkeypatch.setattr(
        Predictions,
        "path",
        lambda self, layer, stem: None if layer == "image" else kept(self, layer, stem),
    )
    stem = join_scores("test", found["v1.target"], found["v1.target"])["image"][0]
    shown = build_scene("test", stem, found["v1.target"], found["v1.target"])
    assert [pane.id for pane in shown.panes] == ["target"]
    assert set(shown.swiped) == {"target"}
    assert scene_data(shown, "")["width"] == 1100


def test_downloads_are_named_after_what_is_stored(found, monkeypatch):
    what, form = describe_pixel_format(found["v1.tiled"])
    assert what == "Predictions"
    assert "probabilities" in form
    assert describe_pixel_format(found["v1.target"])[0] == "Masks"
    monkeypatch.setattr(store, "classes_of", lambda _: ["background", "cell", "nucleus"])
    assert "label indices" in describe_pixel_format(found["v1.tiled"])[1]


def test_masks_are_downloaded_as_they_are_stored(found):
    import io
    import zipfile

    side = found["v1.tiled"]
    stems = store.predictions_of(side.source.run.run_id, "test").stems
    archive = zipfile.ZipFile(io.BytesIO(zip_masks(side, "test", stems)))
    assert sorted(archive.namelist()) == [f"{stem}.png" for stem in stems]
    path = store.predictions_of(side.source.run.run_id, "test").path("tiled", stems[0])
    assert archive.read(f"{stems[0]}.png") == path.read_bytes()


def test_a_run_of_a_link_is_offered_however_old_it_is(at_store, monkeypatch):
    monkeypatch.setattr(comparison, "MOST_RUNS", 0)
    runs, versions = run_table().runs(), store.versions()
    oldest = min((run for run in runs if run.kind == "trial"), key=lambda run: run.started)
    keys = [source.key for source in list_sources("Discs", runs, versions, {oldest.short_id})]
    assert keys == ["v2", "v1", oldest.short_id]
    assert len(list_sources("Discs", runs, versions)) == 2


def test_a_dataset_without_predictions(at_store):
    assert comparison.list_sources("Other", run_table().runs(), store.versions()) == []
