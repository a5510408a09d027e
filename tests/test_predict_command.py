"""``tiledseg predict`` through its front door, with a network that is loaded already."""

import json

import cv2
import keras
import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

from tiledseg.batch_prediction import find_images, predict_files
from tiledseg.cli import app
from tiledseg.data.image_writing import write_mask
from tiledseg.errors import ImageError, OutputError
from tiledseg.models import build_model
from tiledseg.prediction import Predictor
from tiledseg.slide_prediction.options import SlideOptions

PIXELS = np.random.default_rng(3).integers(0, 256, (130, 97, 3), np.uint8)


@pytest.fixture(scope="module")
def predictor(tiny_experiment):
    experiment = tiny_experiment(model={"base_filters": 2})
    keras.utils.set_random_seed(3)
    return Predictor(build_model(experiment.model, 3), experiment)


@pytest.fixture
def command(monkeypatch, predictor, tmp_path):
    """Runs ``predict`` on slides/a.tif into out; returns the result."""
    monkeypatch.setattr("tiledseg.tracking.registry.load_predictor", lambda _, runtime: predictor)
    (tmp_path / "slides").mkdir()
    tifffile.imwrite(tmp_path / "slides" / "a.tif", PIXELS, photometric="rgb", tile=(64, 64))

    def run(*words):
        given = ["predict", "--model", "Tiny", "--images", "slides", "--output", "out", *words]
        return CliRunner().invoke(app, given)

    return run


def test_every_option_reaches_the_prediction(command, predictor, tmp_path):
    interest = np.zeros((26, 19), bool)
    interest[:13] = True
    write_mask(tmp_path / "roi.png", interest)
    result = command(
        "--format", "ome-zarr", "--content", "probability", "--roi", "roi.png",
        "--skip-background", "--objects", "--smallest", "3", "--holes", "2",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "out/a.ome.zarr" in result.output
    assert "of tiles left out" in result.output
    levels = zarr.open_group(tmp_path / "out" / "a.ome.zarr", mode="r")["0"][...]
    inside = np.kron(interest, np.ones((5, 5), bool))
    assert not levels[65:].any()
    predict_files(
        predictor, [tmp_path / "slides" / "a.tif"], tmp_path / "plain",
        SlideOptions(content="probability", smallest=3, holes=2),
    )  # fmt: skip
    plain = cv2.imread(str(tmp_path / "plain" / "a.png"), cv2.IMREAD_UNCHANGED)
    away = np.zeros_like(levels, bool)
    away[:40, :95] = inside[:40]  # where the cut at row 65 changes no object's cleaning
    assert np.mean(levels[away] == plain[away]) > 0.99
    record = json.loads((tmp_path / "out" / "a.skipped.json").read_text())
    assert record["outside_region_of_interest"]
    assert {path.name for path in (tmp_path / "out" / "objects").iterdir()} == {
        "a.csv", "a.geojson", "a.tif",
    }  # fmt: skip
    again = command("--format", "ome-zarr")
    assert isinstance(again.exception, OutputError)


def test_explain_writes_nothing(command, predictor, tmp_path):
    result = command("--explain")
    assert result.exit_code == 0, result.output
    for line in predictor.plan(130, 97).lines():
        assert line in result.output
    assert "slides/a.tif" in result.output
    assert not (tmp_path / "out").exists()


def test_large_images_are_streamed_with_the_same_masks(command, predictor, tmp_path, monkeypatch):
    assert command("--objects", "--overlay").exit_code == 0
    expected = (tmp_path / "out" / "a.png", tmp_path / "out" / "objects" / "a.geojson")
    small = [
        cv2.imread(str(expected[0]), cv2.IMREAD_UNCHANGED),
        json.loads(expected[1].read_text()),
    ]
    painted = cv2.imread(str(tmp_path / "out" / "overlay" / "a.png"))
    monkeypatch.setattr("tiledseg.batch_prediction.LARGE", 0.001)
    monkeypatch.setattr(predictor, "probability", None)  # what would hold all of the image
    assert command("--objects", "--overlay", "--overwrite").exit_code == 0
    assert np.array_equal(cv2.imread(str(tmp_path / "out" / "overlay" / "a.png")), painted)
    assert np.array_equal(cv2.imread(str(expected[0]), cv2.IMREAD_UNCHANGED), small[0])
    outlines = json.loads(expected[1].read_text())["features"]
    assert [item["geometry"] for item in sorted(outlines, key=lambda item: item["id"])] == [
        item["geometry"] for item in sorted(small[1]["features"], key=lambda item: item["id"])
    ]


def test_zarr_folders_are_images_and_share_stems_with_files(tmp_path):
    for folder in ("slides/b.ome.zarr", "slides/c.ome.zarr"):
        zarr.create_group(tmp_path / folder)
    tifffile.imwrite(tmp_path / "slides" / "d.svs", PIXELS)
    names = [path.name for path in find_images([tmp_path / "slides"])]
    assert names == ["b.ome.zarr", "c.ome.zarr", "d.svs"]
    assert find_images([tmp_path / "slides" / "b.ome.zarr"])[0].name == "b.ome.zarr"
    tifffile.imwrite(tmp_path / "slides" / "b.ome.tif", PIXELS)
    with pytest.raises(ImageError, match=r"b\.png"):
        find_images([tmp_path / "slides"])


def test_what_is_no_image_is_named_before_anything_is_written(command, tmp_path):
    (tmp_path / "slides" / "a.tif").write_bytes(b"II*\0" + bytes(40))
    result = command("--format", "ome-tiff")
    assert isinstance(result.exception, ImageError)
    assert "a.tif" in str(result.exception)
    assert not (tmp_path / "out").exists()
