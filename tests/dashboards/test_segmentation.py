"""Segmenting an uploaded image: the same masks and counts as ``tiledseg predict``."""

import numpy as np
import pytest

from dashboards import segmentation
from dashboards.segmentation import Objects, count_objects, segment
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_image
from tiledseg.models import build_model
from tiledseg.prediction.instances import Class
from tiledseg.prediction.job import predict_image
from tiledseg.prediction.options import PredictionOptions
from tiledseg.prediction.predictor import Predictor

CELL, NUCLEUS = Class(1, "cell", (0, 0, 0)), Class(2, "nucleus", (0, 0, 0))


def test_objects_that_share_a_corner_are_one():
    labels = np.zeros((10, 10), np.uint8)
    labels[0:2, 0:2] = labels[2:4, 2:4] = 1
    labels[8, 8] = 1
    assert count_objects(labels, [CELL]) == Objects(2, 4.5, 0.09)


def test_objects_of_two_classes_that_touch_are_two():
    labels = np.zeros((10, 10), np.uint8)
    labels[2:8, 2:8] = 1
    labels[4:6, 4:6] = 2
    assert count_objects(labels, [CELL, NUCLEUS]) == Objects(2, 18.0, 0.36)


def test_an_empty_mask_has_no_objects():
    assert count_objects(np.zeros((4, 4), np.uint8), [CELL]) == Objects(0, 0.0, 0.0)


@pytest.mark.parametrize("classes", [1, 3])
def test_masks_and_counts_are_those_of_predict(tmp_path, monkeypatch, tiny_experiment, classes):
    names = ("background", "cell", "nucleus")
    reading = {"mask_form": "labels", "classes": names} if classes > 1 else {}
    experiment = tiny_experiment(model={"num_classes": classes}, dataset=reading)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    monkeypatch.setattr(segmentation, "load_model", lambda *_: predictor)
    image = tmp_path / "image.png"
    pixels = np.random.default_rng(3).integers(0, 256, (90, 70, 3), np.uint8)
    write_image(image, pixels)
    done = segment("models:/Tiny/1", image, ("tiled",))
    predicted = predict_image(predictor, image, tmp_path / "out", PredictionOptions())
    assert done.objects["tiled"].count == predicted.objects > 0
    assert done.objects["tiled"].foreground == pytest.approx(predicted.foreground)
    shown, wanted = read_image(done.masks["tiled"]), read_image(predicted.mask)
    if classes == 1:
        shown = np.where(shown >= 128, 255, 0)
    assert np.array_equal(shown, wanted)
