"""Streamed predictions are those of the whole image in memory, stopped or not."""

import errno
import json
import resource
import shutil
from contextlib import contextmanager
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from tiledseg.errors import ImageError, OutputError, TilingError
from tiledseg.images.opening import open_slide
from tiledseg.images.writing import quantize_probability, write_mask
from tiledseg.masks.cleaning import clean
from tiledseg.masks.instances import label_instances, measure
from tiledseg.masks.outlines import geojson
from tiledseg.prediction.canvas import PredictionCanvas
from tiledseg.prediction.job import predict_image
from tiledseg.prediction.options import PredictionOptions
from tiledseg.prediction.predictor import Predictor, to_mask

NAMES = {"png": "s.png", "ome-tiff": "s.ome.tif", "ome-zarr": "s.ome.zarr"}


def read(folder, form):
    path = folder / NAMES[form]
    if form == "png":
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if form == "ome-tiff":
        return tifffile.imread(path)
    return zarr.open_group(path, mode="r")["0"][...]


def contents(folder):
    """Every file in a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


LARGE = "tiledseg.prediction.job.LARGE"


@pytest.fixture(autouse=True)
def _on_disk(monkeypatch):
    """Images as small as these are predicted in memory else, without a journal."""
    monkeypatch.setattr(LARGE, 0.0)


class Stop(BaseException):
    """What is raised to stop a prediction."""


@contextmanager
def other_weights(model, change):
    """Weights for a while, which compiles nothing anew, as another model would."""
    weights = model.get_weights()
    model.set_weights([change(weight) for weight in weights])
    try:
        yield
    finally:
        model.set_weights(weights)


def stopping_after(count):
    """Options' ``on_tiles`` that stops when so many tiles are finished."""

    def stop(_, done, total):
        if done >= count and done < total:
            raise Stop

    return stop


@pytest.mark.parametrize("large", [0.0, 50.0])
@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("png", "mask"),
        ("png", "instances"),
        ("ome-tiff", "probability"),
        ("ome-tiff", "instances"),
        ("ome-zarr", "mask"),
    ],
)
def test_is_the_prediction_in_memory(
    slide_predictor, slide_file, slide_pixels, tmp_path, monkeypatch, form, content, large
):
    monkeypatch.setattr(LARGE, large)
    options = PredictionOptions(format=form, content=content, min_object_area=4, max_hole_area=3)
    done = predict_image(slide_predictor, slide_file, tmp_path / "out", options)
    probability = slide_predictor.probability(slide_pixels)
    mask = clean(to_mask(probability), smallest=4, holes=3)
    found = read(tmp_path / "out", form)
    if content == "mask":
        assert np.array_equal(found, mask * np.uint8(255))
    elif content == "instances":
        assert np.array_equal(found, label_instances(mask))
    else:
        assert np.array_equal(found >= 128, mask)
        same = mask == to_mask(probability)
        assert np.array_equal(found[same], quantize_probability(probability[..., 0])[same])
        assert set(found[~same].tolist()) <= {127, 128}
    assert done.foreground == pytest.approx(mask.mean())
    assert done.objects == label_instances(mask).max() > 1
    assert done.tiles > 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAMES[form]]
    if form != "png" and content != "instances":
        size = open_slide(tmp_path / "out" / NAMES[form]).pixel_size
        assert (size.height, size.width) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("large", [0.0, 50.0])
def test_objects_are_those_in_memory(
    slide_predictor, slide_file, slide_pixels, tmp_path, monkeypatch, large
):
    monkeypatch.setattr(LARGE, large)
    out = tmp_path / "out"
    predict_image(
        slide_predictor, slide_file, out, PredictionOptions(with_objects=True, min_object_area=2)
    )
    probability = slide_predictor.probability(slide_pixels)
    labels = label_instances(clean(to_mask(probability), smallest=2))
    assert np.array_equal(tifffile.imread(out / "objects" / "s.tif"), labels)
    table = measure(labels, quantize_probability(probability[..., 0]) / np.float32(255))
    found = pd.read_csv(out / "objects" / "s.csv")
    assert np.allclose(found, table, rtol=1e-5)
    outlines = json.loads((out / "objects" / "s.geojson").read_text())
    expected = json.loads(json.dumps(geojson(labels, table, "Tiny", "s")))
    by_name = {item["properties"]["name"]: item for item in outlines["features"]}
    assert len(by_name) == len(expected["features"])
    for item in expected["features"]:
        mine = by_name[item["properties"]["name"]]
        assert mine["geometry"] == item["geometry"]
        assert mine["id"] == item["id"]


@pytest.mark.parametrize("mode", ["resized", "single_pass"])
def test_other_modes_and_small_formats(slide_predictor, slide_pixels, tmp_path, mode):
    path = tmp_path / "s.png"
    cv2.imwrite(str(path), slide_pixels[..., ::-1])
    predict_image(
        slide_predictor, path, tmp_path / "out", PredictionOptions(format="ome-tiff", mode=mode)
    )
    expected = to_mask(slide_predictor.probability(slide_pixels, mode))
    assert np.array_equal(read(tmp_path / "out", "ome-tiff"), expected * np.uint8(255))


def test_a_second_start_does_the_rest_only(slide_predictor, slide_file, tmp_path, caplog):
    options = PredictionOptions(format="ome-tiff", content="probability", with_objects=True)
    whole = predict_image(slide_predictor, slide_file, tmp_path / "whole", options)
    told = []
    for count in (2, 5):
        with pytest.raises(Stop):
            predict_image(
                slide_predictor, slide_file, tmp_path / "out",
                replace(options, on_tiles=stopping_after(count)),
            )  # fmt: skip
        assert [path.name[0] for path in (tmp_path / "out").iterdir()] == ["."]
    goes_on = replace(options, on_tiles=lambda _, done, total: told.append((done, total)))
    done = predict_image(slide_predictor, slide_file, tmp_path / "out", goes_on)
    assert told[0] == (done.resumed, done.tiles)
    assert told[-1] == (done.tiles, done.tiles)
    assert 5 <= done.resumed < done.tiles == whole.tiles
    assert f"goes on after {done.resumed} of {done.tiles} tiles" in caplog.text
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    "journal",
    [
        b"0\n1\n1",  # tile 10 or 11, and the end of its line is missing
        b"0\n1\n\0\0\0\0\n4\n",  # blocks that were not written when the power went
        b"0\n1\n-1\n4\n",
        b"0\n1\n" + b"4" * 5000 + b"\n",
    ],
)
def test_what_was_cut_off_or_garbled_in_the_journal_is_done_again(
    slide_predictor, slide_file, tmp_path, journal
):
    out = tmp_path / "out"
    predict_image(slide_predictor, slide_file, tmp_path / "whole", PredictionOptions())
    with pytest.raises(Stop):
        predict_image(
            slide_predictor, slide_file, out, PredictionOptions(on_tiles=stopping_after(3))
        )
    (work,) = out.iterdir()
    (work / "tiles").write_bytes(journal)
    done = predict_image(slide_predictor, slide_file, out, PredictionOptions())
    assert done.resumed == 2
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("room", [8, 9])
def test_a_journal_that_cannot_be_written_keeps_what_is_finished(
    slide_predictor, slide_file, tmp_path, monkeypatch, room
):
    """Two entries of four bytes fit; of the third nothing does, or one byte."""
    out, sync, synced = tmp_path / "out", PredictionCanvas.sync, []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def sync_then_fill_the_disk(canvas):
        sync(canvas)
        synced.append(canvas)
        if len(synced) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))

    with monkeypatch.context() as patch:
        patch.setattr(PredictionCanvas, "sync", sync_then_fill_the_disk)
        try:
            with pytest.raises(OutputError, match="tiles: cannot be written"):
                predict_image(slide_predictor, slide_file, out, PredictionOptions())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    done = predict_image(slide_predictor, slide_file, out, PredictionOptions())
    assert done.resumed == 4
    predict_image(slide_predictor, slide_file, tmp_path / "whole", PredictionOptions())
    assert contents(out) == contents(tmp_path / "whole")


def test_another_images_work_is_its_own(slide_predictor, slide_file, tmp_path, caplog):
    """Names that begin alike, or that mean something else in a pattern."""
    out, options = tmp_path / "out", PredictionOptions(on_tiles=stopping_after(2))
    alike = slide_file.with_name("s-2.tif")
    bracketed = slide_file.with_name("s[1].tif")
    for path in (alike, bracketed):
        shutil.copy(slide_file, path)
        with pytest.raises(Stop):
            predict_image(slide_predictor, path, out, options)
    predict_image(slide_predictor, slide_file, out, PredictionOptions())
    assert "unfinished work" not in caplog.text
    with other_weights(slide_predictor.model, lambda weight: weight / 2):
        predict_image(slide_predictor, bracketed, out, PredictionOptions())
    assert ".s[1]-" in caplog.text
    assert ".s-2-" not in caplog.text


def test_another_models_work_is_not_used_but_said(
    slide_predictor, slide_file, tmp_path, tiny_experiment, caplog
):
    out, options = tmp_path / "out", PredictionOptions(on_tiles=stopping_after(2))
    with pytest.raises(Stop):
        predict_image(slide_predictor, slide_file, out, options)
    with other_weights(slide_predictor.model, lambda weight: weight / 2):
        done = predict_image(slide_predictor, slide_file, out, PredictionOptions())
        pixels = open_slide(slide_file).read(np.s_[0:150, 0:210])
        expected = to_mask(slide_predictor.probability(pixels))
    assert done.resumed == 0
    assert "unfinished work with another model; it is not used" in caplog.text
    assert np.array_equal(read(out, "png"), expected * np.uint8(255))
    caplog.clear()
    brighter = Predictor(slide_predictor.model, tiny_experiment(image={"gamma": 0.5}))
    assert (
        predict_image(brighter, slide_file, out, PredictionOptions(format="ome-tiff")).resumed == 0
    )
    assert "with another settings; it is not used" in caplog.text


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_only_one_process_works_at_an_output(
    slide_predictor, slide_file, tmp_path, tiny_experiment, gamma, caplog
):
    """Whatever the settings are, since both would end in the same files."""
    refused = []
    other = Predictor(slide_predictor.model, tiny_experiment(image={"gamma": gamma}))

    def try_too(*_):
        with pytest.raises(OutputError, match="this process is writing it; wait for it, or name"):
            predict_image(other, slide_file, tmp_path / "out", PredictionOptions())
        refused.append(True)
        raise Stop

    with pytest.raises(Stop):
        predict_image(
            slide_predictor, slide_file, tmp_path / "out", PredictionOptions(on_tiles=try_too)
        )
    assert refused
    assert "unfinished work" not in caplog.text, "nobody is told to remove what is in use"
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_process_left_of_its_lock_keeps_nobody_out(
    slide_predictor, slide_file, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".s.lock").touch()
    predict_image(slide_predictor, slide_file, out, PredictionOptions())
    assert [path.name for path in out.iterdir()] == ["s.png"]


def test_what_came_to_exist_meanwhile_is_not_replaced(slide_predictor, slide_file, tmp_path):
    out = tmp_path / "out"

    def write_too(_, done, total):
        if done == total:
            (out / "s.png").write_text("of somebody else")

    with pytest.raises(OutputError, match=r"s\.png exists"):
        predict_image(slide_predictor, slide_file, out, PredictionOptions(on_tiles=write_too))
    assert (out / "s.png").read_text() == "of somebody else"
    done = predict_image(slide_predictor, slide_file, out, PredictionOptions(overwrite=True))
    assert done.resumed == done.tiles
    assert read(out, "png").shape == (150, 210)


@pytest.mark.parametrize("scale", [1, 3])
def test_outside_the_region_of_interest_is_background(
    slide_predictor, slide_file, slide_pixels, tmp_path, scale
):
    interest = np.zeros((150 // scale, 210 // scale), bool)
    interest[: 90 // scale, 30 // scale : 60 // scale] = True
    write_mask(tmp_path / "roi.png", interest)
    options = PredictionOptions(interest=tmp_path / "roi.png")
    done = predict_image(slide_predictor, slide_file, tmp_path / "out", options)
    inside = np.kron(interest, np.ones((scale, scale), bool))
    expected = to_mask(slide_predictor.probability(slide_pixels)) & inside
    assert np.array_equal(read(tmp_path / "out", "png") > 0, expected)
    record = json.loads((tmp_path / "out" / "s.skipped.json").read_text())
    assert len(record["outside_region_of_interest"]) == done.skipped > 0
    assert record["background"] == []
    for box in record["outside_region_of_interest"]:
        rows = slice(box["top"], box["top"] + box["height"])
        assert not inside[rows, box["left"] : box["left"] + box["width"]].any()


def test_a_region_of_another_shape_or_without_foreground_is_refused(
    slide_predictor, slide_file, tmp_path
):
    for mask, words in ((np.ones((150, 100)), "not the shape"), (np.zeros((15, 21)), "foreground")):
        write_mask(tmp_path / "roi.png", mask)
        options = PredictionOptions(interest=tmp_path / "roi.png")
        with pytest.raises(ImageError, match=words):
            predict_image(slide_predictor, slide_file, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_glass_is_skipped_where_asked_and_recorded(
    slide_predictor, slide_file, slide_pixels, tmp_path
):
    options = PredictionOptions(skip_background=True, content="probability")
    done = predict_image(slide_predictor, slide_file, tmp_path / "out", options)
    record = json.loads((tmp_path / "out" / "s.skipped.json").read_text())
    assert len(record["background"]) == done.skipped > 0
    predicted = np.ones((150, 210), bool)
    for box in record["background"]:
        rows, columns = (
            slice(box[low], box[low] + box[size])
            for low, size in (("top", "height"), ("left", "width"))
        )
        assert columns.start >= 120, "tissue was skipped"
        predicted[rows, columns] = False
    expected = quantize_probability(slide_predictor.probability(slide_pixels)[..., 0]) * predicted
    assert np.array_equal(read(tmp_path / "out", "png"), expected)


@pytest.mark.parametrize("form", NAMES)
def test_what_exists_is_kept_unless_asked(slide_predictor, slide_file, tmp_path, form):
    out = tmp_path / "out"
    predict_image(slide_predictor, slide_file, out, PredictionOptions(format=form))
    before = contents(out)
    with pytest.raises(OutputError, match="exists"):
        predict_image(slide_predictor, slide_file, out, PredictionOptions(format=form))
    assert contents(out) == before
    options = PredictionOptions(format=form, content="probability", overwrite=True)
    predict_image(slide_predictor, slide_file, out, options)
    assert contents(out) != before
    assert [path.name for path in out.iterdir()] == [NAMES[form]]


def test_an_image_is_never_replaced(slide_predictor, slide_file):
    path = slide_file.with_name("s.ome.tif")
    slide_file.rename(path)
    options = PredictionOptions(format="ome-tiff", overwrite=True)
    with pytest.raises(OutputError, match="would replace its image"):
        predict_image(slide_predictor, path, path.parent, options)


@pytest.mark.parametrize("room", [4_000, 33_000])
def test_a_full_disk_leaves_nothing_under_the_name_and_is_gone_on_with(
    slide_predictor, slide_file, tmp_path, room
):
    """Files over a limit are refused as on a full disk: the canvas, then what is made of it."""
    out, options = tmp_path / "out", PredictionOptions(with_objects=True, format="ome-tiff")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OutputError, match="has room"):
            predict_image(slide_predictor, slide_file, out, options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in out.iterdir() if not path.name.startswith(".")]
    done = predict_image(slide_predictor, slide_file, out, options)
    assert (done.resumed == done.tiles) == (room > 150 * 210)
    assert {path.name for path in out.iterdir()} == {"s.ome.tif", "objects"}


def test_no_room_while_tiles_are_written(slide_predictor, slide_file, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tiledseg.images.canvas.Canvas._put", full)
        with pytest.raises(OutputError, match="No space left"):
            predict_image(slide_predictor, slide_file, tmp_path / "out", PredictionOptions())
    assert list((tmp_path / "out").iterdir()) == []


def test_whole_mode_refuses_what_would_not_fit(slide_predictor, slide_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tiledseg.prediction.job.MAX_PIXELS", 1000)
    options = PredictionOptions(format="ome-tiff", mode="resized")
    with pytest.raises(ImageError, match="--mode tiled"):
        predict_image(slide_predictor, slide_file, tmp_path / "out", options)


def test_a_folder_that_cannot_be_made_is_named(slide_predictor, slide_file, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        predict_image(slide_predictor, slide_file, tmp_path / "file" / "out", PredictionOptions())


def test_numbers_that_are_none_are_refused(slide_predictor, slide_file, tmp_path):
    slide_predictor.grid(150, 210)
    with (
        other_weights(slide_predictor.model, lambda weight: weight * np.nan),
        pytest.raises(TilingError, match="NaN"),
    ):
        predict_image(slide_predictor, slide_file, tmp_path / "out", PredictionOptions())
    assert not (tmp_path / "out" / "s.png").exists()
