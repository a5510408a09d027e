"""Masks of checkpoints: those of ``tiledseg predict``, made once."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from checkpoint_run import make_predictors, make_run

from dashboards.checkpoints import mask_store
from dashboards.checkpoints.checkpoint_table import network_of
from dashboards.checkpoints.mask_store import Network, find_masks, make_masks, score_network
from dashboards.masks import read_labels
from dashboards.segmentation import Segmentation
from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.errors import DatasetError, ImageError, OutputError, RegistryError, StoppedError
from tiledseg.evaluation.evaluate import evaluate_images
from tiledseg.evaluation.scores import summarize_scores
from tiledseg.images.reading import read_image, read_mask
from tiledseg.prediction.job import predict_image
from tiledseg.prediction.options import PredictionOptions
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.checkpoint_summaries import read_checkpoints
from tiledseg.tracking.names import name_figures
from tiledseg.tracking.registry import load_predictor

STEMS = ["disc4", "disc5"]


def network(run_id, epoch=1):
    return network_of(next(each for each in read_checkpoints(run_id) if each.epoch == epoch))


def silent(_share, _words):
    pass


def evaluated(predictor):
    """What ``tiledseg evaluate`` makes of the validation images."""
    experiment = predictor.experiment
    samples = load_dataset(experiment.dataset, data_root()).splits["valid"]
    return list(evaluate_images(predictor, samples, "valid", experiment))


def without_time(scores):
    return {name: value for name, value in scores.items() if name != "seconds_per_megapixel"}


def score_of(evaluations):
    """What a training registers its network with."""
    classes = evaluations[0].classes
    rows = pd.DataFrame([row for item in evaluations for row in item.rows])
    return ValidationScore.from_metrics(name_figures(summarize_scores(rows, classes)), classes)


def test_masks_and_scores_are_those_of_predict_and_evaluate(dataset, run_id, tmp_path):
    make_masks(network(run_id), run_id, STEMS, silent)
    predictor = load_predictor(f"runs:/{run_id}@epoch=1")
    for item in evaluated(predictor):
        masks = find_masks(network(run_id), run_id, item.sample.stem)
        for mode in ("tiled", "resized"):
            image = dataset / "valid" / "images" / f"{item.sample.stem}.png"
            done = predict_image(predictor, image, tmp_path / mode, PredictionOptions(mode=mode))
            assert np.array_equal(read_labels(masks.path(mode)) > 0, read_mask(done.mask))
            assert masks.scores[mode] == without_time(item.scores[mode])
        assert np.array_equal(read_labels(masks.path("target")), item.target)
        assert masks.seams == {
            "rows": list(item.grid.seam_rows),
            "columns": list(item.grid.seam_columns),
        }
    assert score_network(network(run_id), run_id) == score_of(evaluated(predictor))


def test_two_epochs_have_masks_of_their_own(run_id):
    for epoch in (1, 2):
        make_masks(network(run_id, epoch), run_id, ["disc4"], silent)
    one, two = (
        read_image(find_masks(network(run_id, epoch), run_id, "disc4").path("tiled"))
        for epoch in (1, 2)
    )
    assert not np.array_equal(one, two)


def test_masks_that_are_there_are_not_made_again(run_id, monkeypatch):
    make_masks(network(run_id), run_id, ["disc4"], silent)

    def segment(*_, **__):
        raise AssertionError("it segmented")

    monkeypatch.setattr(mask_store, "segment", segment)
    make_masks(network(run_id), run_id, ["disc4"], silent)
    with pytest.raises(AssertionError, match="it segmented"):
        make_masks(network(run_id), run_id, STEMS, silent)


def test_there_is_no_score_until_all_images_have_masks(run_id):
    assert score_network(network(run_id), run_id) is None
    make_masks(network(run_id), run_id, ["disc4"], silent)
    assert score_network(network(run_id), run_id) is None


def test_progress_is_told_in_images_and_tiles(run_id):
    told = []
    make_masks(network(run_id), run_id, STEMS, lambda *given: told.append(given))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    words = [text for _, text in told]
    assert "disc4 (1 of 2): loading the network" in words
    tiles = [text for text in words if text.startswith("disc5 (2 of 2): tile")]
    assert tiles[0].startswith("disc5 (2 of 2): tile 0 of ")
    count = tiles[0].rpartition(" ")[2]
    assert tiles[-1] == f"disc5 (2 of 2): tile {count} of {count}"
    assert (0.5, "disc5 (2 of 2): loading the network") in told


def test_work_that_is_stopped_keeps_whole_images_alone(run_id):
    def stop(share, _):
        if share > 0.6:
            raise StoppedError

    with pytest.raises(StoppedError):
        make_masks(network(run_id), run_id, STEMS, stop)
    assert find_masks(network(run_id), run_id, "disc4") is not None
    assert find_masks(network(run_id), run_id, "disc5") is None
    assert len(list(mask_store._home().iterdir())) == 1


def test_a_threshold_that_was_chosen_since_makes_other_masks(run_id):
    before = network(run_id)
    after = Network(before.uri, before.model_id, 0.7)
    assert before.digest != after.digest
    with pytest.raises(RegistryError, match=r"the threshold 0\.5 just now, in place of 0\.7"):
        make_masks(after, run_id, ["disc4"], silent)
    assert find_masks(after, run_id, "disc4") is None


def test_a_network_of_other_classes_is_not_compared(run_id, monkeypatch):
    segment = mask_store.segment

    def of_others(*given, **named):
        done = segment(*given, **named)
        labels = ("background", "cell", "nucleus")
        return Segmentation(done.image, done.masks, {}, done.seams, 0.5, labels)

    monkeypatch.setattr(mask_store, "segment", of_others)
    with pytest.raises(DatasetError, match="knows the classes background, cell, nucleus"):
        make_masks(network(run_id), run_id, ["disc4"], silent)


def test_an_image_that_is_too_large_is_refused(run_id, monkeypatch):
    monkeypatch.setattr(mask_store, "MOST_PIXELS", 5000)
    with pytest.raises(ImageError, match=r"disc4\.png: is 96 x 96 pixels.*tiledseg predict"):
        make_masks(network(run_id), run_id, ["disc4"], silent)


def test_a_cache_that_cannot_be_written_is_told(run_id, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="TILEDSEG_CACHE"):
        make_masks(network(run_id), run_id, ["disc4"], silent)


def test_a_checkpoint_that_is_gone_is_told(run_id):
    gone = network(run_id)
    mlflow.MlflowClient().delete_logged_model(gone.model_id)
    with pytest.raises(RegistryError, match=gone.model_id):
        make_masks(gone, run_id, ["disc4"], silent)


def test_of_several_classes_and_pixels_that_are_not_known(
    own_tables, empty_caches, tiny_experiment, tmp_path
):
    from tiledseg.images.writing import write_image

    rng = np.random.default_rng(0)
    for number, split in enumerate(("train", "valid", "test")):
        image = rng.integers(0, 256, (70, 90, 3), np.uint8)
        mask = rng.integers(0, 3, (70, 90)).astype(np.uint8)
        mask[:9] = 99
        write_image(data_root() / "Tiny" / split / "images" / f"a{number}.png", image)
        write_image(data_root() / "Tiny" / split / "masks" / f"a{number}.png", mask)
    reading = {
        "mask_form": "labels",
        "classes": ("background", "cell", "nucleus"),
        "ignore_label": 99,
    }
    experiment = tiny_experiment(dataset=reading, model={"num_classes": 3})
    (predictor,) = make_predictors(experiment, 1)
    run_id = make_run(experiment, [predictor])
    make_masks(network(run_id), run_id, ["a1"], silent)
    masks = find_masks(network(run_id), run_id, "a1")
    (item,) = evaluated(predictor)
    for mode, scores in masks.scores.items():
        assert scores == pytest.approx(without_time(item.scores[mode]), nan_ok=True, abs=0)
    assert np.array_equal(read_labels(masks.path("target")), item.target)
    score = score_network(network(run_id), run_id)
    assert score == score_of([item])
    assert score.classes == ("cell", "nucleus")
