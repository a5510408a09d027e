"""Figures of a run: comparison sheets and learning curves."""

import math
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from tiledseg.evaluation.evaluate import ImageEvaluation
from tiledseg.masks.classes import Color, Labels, class_colors, foreground, labels_of, paint
from tiledseg.masks.drawing import (
    CONFUSED,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_POSITIVE,
    difference,
)

SHEET_SIDE = 640
"""Largest side of one panel of a comparison sheet, in pixels."""


def comparison_sheet(evaluation: ImageEvaluation) -> Figure:
    """Image, target, resized, tiled, and where tiled differs from the target, side by side."""
    labels = {mode: labels_of(found) for mode, found in evaluation.probabilities.items()}
    dice = {mode: scores["dice"] for mode, scores in evaluation.scores.items()}
    count = len(evaluation.classes)
    panels = [
        ("image", evaluation.image),
        ("target", _paint(evaluation.target, count)),
        (f"resized, Dice {_format(dice['resized'])}", _paint(labels["resized"], count)),
        (f"tiled, Dice {_format(dice['tiled'])}", _paint(labels["tiled"], count)),
        ("tiled against target", difference(evaluation.target, labels["tiled"])),
    ]
    height, width = evaluation.target.shape
    # Laid out by hand: Matplotlib's own layout takes as long as all the drawing.
    across, side, above, below = 20.0, 3.92, 0.75, 0.4
    deep = above + side * height / width + below
    figure = Figure(figsize=(across, deep), dpi=110)
    heading = f"{evaluation.sample.stem}   {width} x {height} px, {evaluation.split}"
    figure.suptitle(heading, y=1 - 0.12 / deep, va="top")
    for number, (title, panel) in enumerate(panels):
        left = 0.04 + number * (across - 0.04) / len(panels)
        axes = figure.add_axes(
            (left / across, below / deep, side / across, 1 - (above + below) / deep)
        )
        axes.imshow(_reduce(panel), cmap="gray", vmin=0, vmax=255, interpolation="none")
        axes.set_title(title, y=1.0)
        axes.set_axis_off()
    marks = {
        "true positive": TRUE_POSITIVE,
        "false positive": FALSE_POSITIVE,
        "false negative": FALSE_NEGATIVE,
    }
    if count > 2:
        marks["another class"] = CONFUSED
        classes = dict(zip(evaluation.classes[1:], class_colors(count)[1:], strict=True))
        figure.legend(handles=_patches(classes), loc="lower left", ncols=9, frameon=False)
    figure.legend(handles=_patches(marks), loc="lower right", ncols=4, frameon=False)
    return figure


def learning_curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss, Dice and learning rate over epochs, the best epoch marked."""
    figure = Figure(figsize=(15, 4.2), dpi=110, layout="constrained")
    groups = [
        ("loss", ["loss", "val_loss"]),
        ("Dice", ["dice", "val_dice", "dice_coef", "val_dice_coef"]),
        ("learning rate", ["learning_rate"]),
    ]
    for axes, (title, names) in zip(figure.subplots(1, 3), groups, strict=True):
        for name in names:
            axes.plot(history["epoch"], history[name], marker=".", label=name)
        axes.axvline(best_epoch, color="gray", linestyle=":", label=f"best epoch, {best_epoch}")
        axes.set_xlabel("epoch")
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png", pil_kwargs={"compress_level": 3})


def _format(score: float) -> str:
    """Four digits; a dash where there is no score."""
    return "-" if math.isnan(score) else f"{score:.4f}"


def _patches(colors: Mapping[str, Color]) -> list[Patch]:
    return [
        Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor="black", label=label)
        for label, (red, green, blue) in colors.items()
    ]


def _paint(labels: Labels, count: int) -> NDArray[np.uint8]:
    """One class white on black, several in their colors."""
    if count > 2:
        return paint(labels, count)
    return foreground(labels) * np.uint8(255)


def _reduce(panel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A panel at the sheet's size, its edges averaged."""
    factor = SHEET_SIDE / max(panel.shape[:2])
    if factor >= 1.0:
        return panel
    size = (round(panel.shape[1] * factor), round(panel.shape[0] * factor))
    return np.asarray(cv2.resize(panel, size, interpolation=cv2.INTER_AREA), np.uint8)
