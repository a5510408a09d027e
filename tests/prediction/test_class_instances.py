"""Streamed predictions of several classes are those of the whole image in memory."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from tiledseg.errors import OutputError
from tiledseg.images.reading import read_header, read_indices
from tiledseg.masks.classes import label_palette
from tiledseg.prediction.files import predict_files
from tiledseg.prediction.job import predict_image
from tiledseg.prediction.options import PredictionOptions
from tiledseg.prediction.predictor import Predictor

LARGE = "tiledseg.prediction.job.LARGE"


@pytest.fixture(autouse=True)
def _on_disk(monkeypatch):
    monkeypatch.setattr(LARGE, 0.0)


@pytest.fixture
def in_memory(class_predictor, slide_file, tmp_path, monkeypatch):
    """Predict as small images are; returns the folder."""

    def predict(**options):
        folder = tmp_path / "memory"
        with monkeypatch.context() as patch:
            patch.setattr(LARGE, 50.0)
            (done,) = predict_files(
                class_predictor, [slide_file], folder, PredictionOptions(**options)
            )
        return folder, done

    return predict


CLEANING = {"min_object_area": 4, "max_hole_area": 3}


def test_the_labels_with_their_palette(class_predictor, slide_file, tmp_path, in_memory):
    memory, expected = in_memory(**CLEANING)
    out = tmp_path / "out"
    done = predict_image(class_predictor, slide_file, out, PredictionOptions(**CLEANING))
    labels = read_indices(memory / "s.png")
    assert set(np.unique(labels)) == {0, 1, 2}
    assert done.tiles > 4
    assert read_header(out / "s.png").palette
    assert np.array_equal(read_indices(out / "s.png"), labels)
    assert np.array_equal(cv2.imread(str(out / "s.png"))[..., ::-1], label_palette(3)[labels])
    assert done.foreground == pytest.approx(expected.foreground)
    assert done.objects == expected.objects


@pytest.mark.parametrize(
    "options", [{}, {"min_object_area": 3}, {"min_object_area": 9, "max_hole_area": 9}]
)
def test_small_objects_of_the_settings_and_of_the_command(
    class_predictor, slide_file, tmp_path, monkeypatch, options
):
    """The settings' go before holes are filled, in memory as on disk."""
    experiment = class_predictor.experiment
    tiling = experiment.tiling.model_copy(update={"min_object_area": 6})
    predictor = Predictor(class_predictor.model, experiment.model_copy(update={"tiling": tiling}))
    wanted = PredictionOptions(**{"max_hole_area": 50, **options})
    for holes in (0, wanted.max_hole_area):
        once = replace(wanted, max_hole_area=holes)
        memory, out = (tmp_path / f"{name}{holes}" for name in ("memory", "out"))
        with monkeypatch.context() as patch:
            patch.setattr(LARGE, 50.0)
            (expected,) = predict_files(predictor, [slide_file], memory, once)
        done = predict_image(predictor, slide_file, out, once)
        labels = read_indices(memory / "s.png")
        assert np.array_equal(read_indices(out / "s.png"), labels)
        assert done.objects == expected.objects
    dropped = read_indices(tmp_path / "memory0" / "s.png")
    assert ((dropped == 0) & (labels > 0)).any(), "holes were filled"
    assert np.array_equal(labels[dropped > 0], dropped[dropped > 0])


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_the_labels_as_a_pyramid(class_predictor, slide_file, tmp_path, in_memory, form):
    memory, _ = in_memory()
    predict_image(class_predictor, slide_file, tmp_path / "out", PredictionOptions(format=form))
    found = (
        tifffile.imread(tmp_path / "out" / "s.ome.tif")
        if form == "ome-tiff"
        else zarr.open_group(tmp_path / "out" / "s.ome.zarr", mode="r")["0"][...]
    )
    assert np.array_equal(found, read_indices(memory / "s.png"))


def test_the_objects(class_predictor, slide_file, tmp_path, in_memory):
    memory, _ = in_memory(with_objects=True, **CLEANING)
    options = PredictionOptions(content="instances", with_objects=True, **CLEANING)
    predict_image(class_predictor, slide_file, tmp_path / "out", options)
    folders = memory / "objects", tmp_path / "out" / "objects"
    numbers, found = (tifffile.imread(folder / "s.tif") for folder in folders)
    assert np.array_equal(found, numbers)
    shown = cv2.imread(str(tmp_path / "out" / "s.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(shown, numbers)
    table, other = (pd.read_csv(folder / "s.csv") for folder in folders)
    assert list(other["class"]) == list(table["class"])
    assert set(table["class"]) == {"red cell", "platelet"}
    rest = table.columns.drop("class")
    assert np.allclose(other[rest], table[rest], rtol=1e-5, atol=0.5 / 255)
    outlines, others = (
        {
            item["id"]: (item["geometry"], item["properties"]["classification"])
            for item in json.loads((folder / "s.geojson").read_text())["features"]
        }
        for folder in folders
    )
    assert others == outlines
    assert len(outlines) == len(table)


def test_a_stopped_one_goes_on(class_predictor, slide_file, tmp_path):
    def stop(_, done, total):
        if 3 <= done < total:
            raise KeyboardInterrupt

    whole, out = tmp_path / "whole", tmp_path / "out"
    predict_image(class_predictor, slide_file, whole, PredictionOptions())
    with pytest.raises(KeyboardInterrupt):
        predict_image(class_predictor, slide_file, out, PredictionOptions(on_tiles=stop))
    done = predict_image(class_predictor, slide_file, out, PredictionOptions())
    assert 3 <= done.resumed < done.tiles
    assert (out / "s.png").read_bytes() == (whole / "s.png").read_bytes()


def test_outside_the_region_of_interest_is_background(class_predictor, slide_file, tmp_path):
    mask = np.zeros((150, 210), np.uint8)
    mask[20:90, 10:80] = 255
    cv2.imwrite(str(tmp_path / "roi.png"), mask)
    predict_image(class_predictor, slide_file, tmp_path / "all", PredictionOptions())
    options = PredictionOptions(interest=tmp_path / "roi.png")
    predict_image(class_predictor, slide_file, tmp_path / "out", options)
    everything = read_indices(tmp_path / "all" / "s.png")
    assert np.array_equal(read_indices(tmp_path / "out" / "s.png"), everything * (mask > 0))


def test_probabilities_do_not_fit_into_one_picture(class_predictor, slide_file, tmp_path):
    with pytest.raises(OutputError, match="of several classes"):
        predict_image(
            class_predictor, slide_file, tmp_path / "out", PredictionOptions(content="probability")
        )
    assert not (tmp_path / "out").exists()
