"""``tiledseg predict`` through its front door, with a network that is loaded already."""

import json

import cv2
import keras
import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

from tiledseg.cli import app
from tiledseg.errors import ExperimentError, ImageError, OutputError
from tiledseg.images.writing import write_mask
from tiledseg.models import build_model
from tiledseg.prediction.files import find_images, predict_files
from tiledseg.prediction.options import PredictionOptions
from tiledseg.prediction.predictor import Predictor

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
        "--skip-background", "--objects", "--min-object-area", "3", "--max-hole-area", "2",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "out/a.ome.zarr" in result.output
    assert "of tiles left out" in result.output
    levels = zarr.open_group(tmp_path / "out" / "a.ome.zarr", mode="r")["0"][...]
    inside = np.kron(interest, np.ones((5, 5), bool))
    assert not levels[65:].any()
    predict_files(
        predictor, [tmp_path / "slides" / "a.tif"], tmp_path / "plain",
        PredictionOptions(content="probability", min_object_area=3, max_hole_area=2),
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


def test_images_may_come_without_the_option(command, tmp_path):
    given = ["predict", "--model", "Tiny", "--output", "plain", "slides/a.tif"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert command().exit_code == 0
    assert (tmp_path / "plain" / "a.png").read_bytes() == (tmp_path / "out" / "a.png").read_bytes()


def test_a_prediction_of_nothing_is_refused(command, tmp_path):
    result = CliRunner().invoke(app, ["predict", "--model", "Tiny", "--output", "none"])
    assert result.exit_code == 2
    assert "--images" in result.output
    assert "give files, folders or patterns" in result.output
    assert not (tmp_path / "none").exists()


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
    monkeypatch.setattr("tiledseg.prediction.job.LARGE", 0.001)
    monkeypatch.setattr(predictor, "probability", None)  # what would hold all of the image
    assert command("--objects", "--overlay", "--overwrite").exit_code == 0
    assert np.array_equal(cv2.imread(str(tmp_path / "out" / "overlay" / "a.png")), painted)
    assert np.array_equal(cv2.imread(str(expected[0]), cv2.IMREAD_UNCHANGED), small[0])
    outlines = json.loads(expected[1].read_text())["features"]
    assert [item["geometry"] for item in sorted(outlines, key=lambda item: item["id"])] == [
        item["geometry"] for item in sorted(small[1]["features"], key=lambda item: item["id"])
    ]


def test_settings_of_tiling_can_be_changed(command, predictor, tmp_path):
    before = command("--explain").output
    changed = command("--explain", "--set", "tiling.max_tile=48 tiling.tta=2").output
    tiling = predictor.experiment.tiling.model_copy(update={"max_tile": 48, "tta": 2})
    experiment = predictor.experiment.model_copy(update={"tiling": tiling})
    expected = Predictor(predictor.model, experiment)
    for line in expected.plan(130, 97).lines():
        assert line in changed
    assert changed != before
    assert command("--set", "tiling.tta=2").exit_code == 0
    mask = cv2.imread(str(tmp_path / "out" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask > 0, expected.mask(PIXELS))
    assert not np.array_equal(mask > 0, predictor.mask(PIXELS))


def test_the_bits_of_a_camera_can_be_told(command, predictor, tmp_path):
    deep = PIXELS.astype(np.uint16) << 4  # 12 bits of 16
    tifffile.imwrite(tmp_path / "slides" / "a.tif", deep, photometric="rgb")
    assert command("--set", "image.bit_depth=12").exit_code == 0
    mask = cv2.imread(str(tmp_path / "out" / "a.png"), cv2.IMREAD_UNCHANGED)
    in_8_bits = np.rint(deep / 4095 * 255).astype(np.uint8)
    assert np.array_equal(mask > 0, predictor.mask(in_8_bits))


def test_the_mode_of_the_command_wins_over_that_of_the_tiling(command, predictor, tmp_path):
    words = ("--mode", "single_pass", "--set", "tiling.mode=blend")
    assert command(*words).exit_code == 0
    mask = cv2.imread(str(tmp_path / "out" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask > 0, predictor.mask(PIXELS, "single_pass"))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.base_filters=8", "expected a setting of the tiling section"),
        ("tiling={max_tile: 64}", "expected a setting of the tiling section"),
        ("tilings.max_tile=64", "expected a setting of the tiling section"),
        ("tiling.max_tile", "expected KEY=VALUE"),
        ("tiling.max_tiles=64", "max_tile"),
        ("tiling.max_tile=65", "multiple of"),
    ],
)
def test_settings_that_cannot_be_changed_are_named(command, tmp_path, setting, words):
    result = command("--set", setting)
    assert isinstance(result.exception, ExperimentError)
    assert words in str(result.exception)
    assert setting in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_finished_images_are_skipped_where_asked(command, tmp_path):
    assert command("--objects").exit_code == 0
    before = (tmp_path / "out" / "a.png").stat().st_mtime_ns
    tifffile.imwrite(tmp_path / "slides" / "b.tif", PIXELS[:50], photometric="rgb")
    assert "--skip-existing" in str(command("--objects").exception)
    result = command("--objects", "--skip-existing")
    assert result.exit_code == 0, result.output
    assert "1 predicted, 1 skipped" in result.output
    assert "out/a.png" not in result.output
    assert (tmp_path / "out" / "b.png").exists()
    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == before


def test_to_skip_and_to_replace_exclude_each_other(command, tmp_path):
    result = command("--skip-existing", "--overwrite")
    assert isinstance(result.exception, OutputError)
    assert "pass one of the two" in str(result.exception)
    assert not (tmp_path / "out").exists()


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
