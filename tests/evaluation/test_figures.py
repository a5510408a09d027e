import cv2
import numpy as np
import pandas as pd
import pytest

from tiledseg.data.dataset import load_dataset
from tiledseg.evaluation.figures import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_POSITIVE,
    comparison_sheet,
    difference,
    learning_curves,
    overlay,
    save_figure,
)
from tiledseg.evaluation.scores import evaluate_images
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor


def test_difference_has_one_color_for_each_case():
    target = np.array([[True, True, False, False]])
    predicted = np.array([[True, False, True, False]])
    assert difference(target, predicted)[0].tolist() == [
        list(TRUE_POSITIVE),
        list(FALSE_NEGATIVE),
        list(FALSE_POSITIVE),
        [0, 0, 0],
    ]


def test_overlay_changes_the_mask_and_its_outline_only():
    image = np.full((60, 60, 3), 200, np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    painted = overlay(image, mask)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert (painted[~near] == 200).all()
    assert (painted[mask] != 200).any(axis=-1).all()
    assert (image == 200).all()


def test_overlay_of_an_empty_mask_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    assert np.array_equal(overlay(image, np.zeros((9, 11), bool)), image)


def test_sheet_shows_five_panels_with_their_scores(tiny_dataset, tiny_experiment, tmp_path):
    experiment = tiny_experiment()
    dataset = load_dataset(experiment.dataset, tiny_dataset().parent)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    item = next(evaluate_images(predictor, dataset.splits["test"], "test", experiment))
    figure = comparison_sheet(item)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0:2] == ["image", "target"]
    assert f"{item.scores['resized']['dice']:.4f}" in titles[2]
    assert f"{item.scores['tiled']['dice']:.4f}" in titles[3]
    save_figure(figure, tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 1500


def test_curves_hold_every_epoch_and_mark_the_best():
    names = ["loss", "val_loss", "dice", "val_dice", "dice_coef", "val_dice_coef", "learning_rate"]
    history = pd.DataFrame({"epoch": [1, 2, 3], **{name: [3.0, 2.0, 1.0] for name in names}})
    figure = learning_curves(history, best_epoch=2)
    drawn = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    assert set(names) <= set(drawn)
    assert drawn["val_dice"].get_xdata().tolist() == [1, 2, 3]
    assert drawn["best epoch, 2"].get_xdata() == pytest.approx([2, 2])
