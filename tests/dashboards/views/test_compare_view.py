"""The page Compare."""

import shutil

from page_script import open_page, read_words

from dashboards import store
from dashboards.comparison import join_scores
from dashboards.views.compare import describe_pixel_format, order, table_of, zip_masks


def artifacts(copy, store):
    return next(copy.glob(f"mlruns/*/{store.good}/artifacts"))


def test_compare_opens_the_image_and_sides_of_the_link(at_store):
    page = open_page("compare", a="v1.tiled", b="v2.tiled", split="valid", image="disc 3")
    assert page.selectbox(key="a").value == "v1.tiled"
    assert page.selectbox(key="b").value == "v2.tiled"
    assert "valid" in read_words(page)


def test_compare_says_which_side_wins(at_store):
    assert "better on 2, worse on 0" in read_words(
        open_page("compare", a="v1.tiled", b="v1.resized")
    )


def test_target_against_target(at_store):
    page = open_page("compare", a="v1.target", b="v2.target")
    assert not page.exception
    assert not page.error


def test_predictions_are_gone(broken, store):
    shutil.rmtree(artifacts(broken, store) / "predictions")
    page = open_page("compare", a="v1.tiled", b="v1.resized")
    assert not page.exception
    assert "log_images" in read_words(page)


def test_one_mask_is_gone(broken, store):
    (artifacts(broken, store) / "predictions/test/resized/disc 4.png").unlink()
    page = open_page("compare", a="v1.tiled", b="v1.resized", image="disc 4")
    assert not page.exception
    assert not page.error


def test_scores_are_gone(broken, store):
    (artifacts(broken, store) / "scores.csv").unlink()
    page = open_page("compare", a="v1.tiled", b="v1.resized")
    assert not page.exception


def test_an_image_is_broken(broken, store):
    (artifacts(broken, store) / "predictions/test/image/disc 4.png").write_bytes(b"words")
    page = open_page("compare", a="v1.tiled", b="v1.resized", image="disc 4")
    assert not page.exception
    assert "disc 4.png" in page.error[0].value


def test_orders(store_sides):
    table = join_scores("test", store_sides["v1.tiled"], store_sides["v2.tiled"])
    assert order(table, "A wins")["gain"].is_monotonic_decreasing
    assert order(table, "B wins")["gain"].is_monotonic_increasing
    assert order(table, "by name")["image"].is_monotonic_increasing
    assert order(table, "worst first").equals(table)


def test_the_table_shows_what_there_is(store_sides):
    left, right = store_sides["v1.tiled"], store_sides["v1.resized"]
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
    columns, rows = table_of(table[["image"]], store_sides["v1.target"], store_sides["v1.target"])
    assert columns == []
    assert [list(row.values) for row in rows] == [[], []]


def test_downloads_are_named_after_what_is_stored(store_sides, monkeypatch):
    what, explanation = describe_pixel_format(store_sides["v1.tiled"])
    assert what == "Predictions"
    assert "probabilities" in explanation
    assert describe_pixel_format(store_sides["v1.target"])[0] == "Masks"
    monkeypatch.setattr(store, "classes_of", lambda _: ["background", "cell", "nucleus"])
    assert "label indices" in describe_pixel_format(store_sides["v1.tiled"])[1]


def test_masks_are_downloaded_as_they_are_stored(store_sides):
    import io
    import zipfile

    side = store_sides["v1.tiled"]
    stems = store.predictions_of(side.source.run.run_id, "test").stems
    archive = zipfile.ZipFile(io.BytesIO(zip_masks(side, "test", stems)))
    assert sorted(archive.namelist()) == [f"{stem}.png" for stem in stems]
    path = store.predictions_of(side.source.run.run_id, "test").path("tiled", stems[0])
    assert archive.read(f"{stems[0]}.png") == path.read_bytes()
