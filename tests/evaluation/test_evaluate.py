import numpy as np
import pandas as pd

from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.evaluation.evaluate import evaluate_images, summarize_seams
from tiledseg.evaluation.scores import SCORES, Figure, mask_scores
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor


def test_seams_keep_the_worst_difference():
    seams = [
        {
            "gradient_ratio": 1.0,
            "gradient_against_single_pass": 1.0,
            "max_difference": 0.25,
            "flipped_labels": 3.0,
        },
        {
            "gradient_ratio": 3.0,
            "gradient_against_single_pass": 1.5,
            "max_difference": 0.5,
            "flipped_labels": 4.0,
        },
        {"gradient_ratio": 2.0},
    ]
    assert summarize_seams("valid", seams) == [
        Figure("valid", "seam", "gradient_ratio", 2.0, 3),
        Figure("valid", "seam", "gradient_against_single_pass", 1.25, 2),
        Figure("valid", "seam", "max_difference", 0.5, 2),
        Figure("valid", "seam", "flipped_labels", 7.0, 2),
    ]
    of_one = summarize_seams("test", seams[2:])
    assert of_one[2] == Figure("test", "seam", "max_difference", None, 0)


def test_every_image_gets_a_row_per_mode_and_seams_are_measured_on_the_first(
    tiny_dataset, tiny_experiment
):
    folder = tiny_dataset()
    experiment = tiny_experiment()
    dataset = load_dataset(experiment.dataset, folder.parent)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    found = list(evaluate_images(predictor, dataset.splits["test"], "test", experiment))
    assert [item.sample for item in found] == list(dataset.splits["test"])
    rows = pd.DataFrame([row for item in found for row in item.rows])
    assert sorted(rows["mode"]) == ["resized", "resized", "tiled", "tiled"]
    assert rows[list(SCORES)].notna().all().all()
    assert "max_difference" in found[0].seams
    assert "max_difference" not in found[1].seams
    assert found[0].seams["max_difference"] <= 1e-5
    assert found[0].seams["flipped_labels"] == 0


def test_scores_follow_the_probabilities(tiny_dataset, tiny_experiment):
    experiment = tiny_experiment()
    dataset = load_dataset(experiment.dataset, tiny_dataset().parent)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    item = next(evaluate_images(predictor, dataset.splits["valid"], "valid", experiment))
    cache = PixelCache()
    target = np.array(cache.mask(dataset.splits["valid"][0].mask, 127), bool)
    assert np.array_equal(item.target, target)
    prediction = item.probabilities["tiled"][..., 0] >= 0.5
    assert item.scores["tiled"]["dice"] == mask_scores(target, prediction)["dice"]
