from dataclasses import replace

import cv2
import pandas as pd
import pytest

from tiledseg.data.dataset import load_dataset
from tiledseg.evaluation.evaluate import evaluate_images
from tiledseg.evaluation.figures import comparison_sheet, learning_curves, save_figure
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor


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


def test_a_sheet_of_an_image_without_any_class_says_no_number(tiny_dataset, tiny_experiment):
    experiment = tiny_experiment()
    dataset = load_dataset(experiment.dataset, tiny_dataset().parent)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    item = next(evaluate_images(predictor, dataset.splits["test"], "test", experiment))
    scores = {mode: {"dice": float("nan")} for mode in item.scores}
    titles = [axes.get_title() for axes in comparison_sheet(replace(item, scores=scores)).axes]
    assert titles[2:4] == ["resized, Dice -", "tiled, Dice -"]


def test_curves_hold_every_epoch_and_mark_the_best():
    names = ["loss", "val_loss", "dice", "val_dice", "dice_coef", "val_dice_coef", "learning_rate"]
    history = pd.DataFrame({"epoch": [1, 2, 3], **{name: [3.0, 2.0, 1.0] for name in names}})
    figure = learning_curves(history, best_epoch=2)
    drawn = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
    assert set(names) <= set(drawn)
    assert drawn["val_dice"].get_xdata().tolist() == [1, 2, 3]
    assert drawn["best epoch, 2"].get_xdata() == pytest.approx([2, 2])
