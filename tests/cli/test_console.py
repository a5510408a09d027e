import math
from types import SimpleNamespace

import pytest

from tiledseg.cli.console import ConsoleObserver, show_error, show_line, show_scores
from tiledseg.training.observer import EpochReport


def report(epoch, **changes):
    metrics = {"loss": 0.5, "val_loss": 0.4, "val_dice": 0.9, "learning_rate": 1e-3}
    known = {"epochs": 12, "is_best": True, "elapsed": 61.0, "remaining": 119.6}
    return EpochReport(epoch=epoch, metrics=metrics, **{**known, **changes})


def test_an_epoch_is_one_line_with_dice_and_time_left(capsys):
    with ConsoleObserver() as observer:
        observer.on_epoch_end(report(3))
        observer.on_epoch_end(report(4, is_best=False))
    first, second = capsys.readouterr().out.splitlines()
    for word in ("3/12", "val_dice 0.9000 *", "1:01 gone", "at most 2:00 left"):
        assert word in first
    assert "*" not in second


def test_a_long_training_is_told_in_hours(capsys):
    with ConsoleObserver() as observer:
        observer.on_epoch_end(report(3, elapsed=3725.0, remaining=7200.0))
    shown = capsys.readouterr().out
    assert "1:02:05 gone, at most 2:00:00 left" in shown


def test_scores_stand_tiled_beside_whole(capsys):
    show_scores(
        {"test/tiled/dice": 0.91, "test/resized/dice": 0.02, "test/seam/max_difference": 0.0}
    )
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if "dice" in line]
    assert line.index("0.9100") < line.index("0.0200")
    assert "test/seam/max_difference" in shown


def test_a_score_that_is_not_defined_is_a_dash(capsys):
    metrics = {"loss": 0.5, "val_loss": 0.4, "val_dice": math.nan, "learning_rate": 1e-3}
    scores = {mode: {"dice": math.nan} for mode in ("tiled", "resized")}
    evaluation = SimpleNamespace(split="test", sample=SimpleNamespace(stem="a"), scores=scores)
    with ConsoleObserver() as observer:
        observer.on_epoch_end(EpochReport(1, 2, metrics, False, 1.0, 1.0))
        observer.on_image(evaluation)
    epoch, image = capsys.readouterr().out.splitlines()
    assert "val_dice -  " in epoch
    assert image.split() == ["test", "a", "Dice", "tiled", "-", "resized", "-"]


def test_every_score_stands_beside_its_number_of_images(capsys):
    show_scores(
        {
            "test/tiled/dice": 0.5,
            "test/tiled/images/dice": 8.0,
            "test/resized/dice": 0.4,
            "test/resized/images/dice": 7.0,
            "test/tiled/images/dice/rare": 0.0,
            "test/seam/gradient_ratio": 1.5,
            "test/seam/images/gradient_ratio": 8.0,
        }
    )
    shown = capsys.readouterr().out
    rows = {
        line.split("│")[2].strip(): [cell.strip() for cell in line.split("│")[3:7]]
        for line in shown.splitlines()
        if line.startswith("│")
    }
    assert rows["dice"] == ["0.5000", "8", "0.4000", "7"]
    assert rows["dice/rare"] == ["-", "0", "", ""]
    assert "test/seam/gradient_ratio  1.5  (8 images)" in shown
    assert "seam/images" not in shown


@pytest.mark.parametrize("text", ["a [bold]path[/]", r"C:\images\[1]", "x" * 300])
def test_lines_are_shown_as_they_are_and_never_folded(capsys, text):
    show_line(text)
    assert capsys.readouterr().out == f"{text}\n"
    show_error(text)
    assert capsys.readouterr().err == f"tiledseg: {text}\n"


def test_the_dice_of_each_class_stands_below_the_mean(capsys):
    show_scores(
        {"test/tiled/dice": 0.5, "test/tiled/dice/red cell": 0.25, "test/resized/dice": 0.4}
    )
    shown = capsys.readouterr().out
    assert "dice/red cell" in shown
    assert "0.2500" in shown
    assert shown.index("0.5000") < shown.index("0.2500")
