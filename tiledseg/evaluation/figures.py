"""Pictures for people: overlays, comparison sheets, learning curves.

Colors are from Okabe & Ito, "Color Universal Design", 2008, which color-blind people can
tell apart.
"""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from tiledseg.evaluation.scores import ImageEvaluation
from tiledseg.masks.classes import (
    IGNORED,
    Color,
    Labels,
    class_colors,
    foreground,
    label_palette,
    labels_of,
    paint,
)

GREEN = class_colors(2)[1]
TRUE_POSITIVE = (255, 255, 255)
FALSE_POSITIVE = (230, 159, 0)
FALSE_NEGATIVE = (86, 180, 233)
CONFUSED = (204, 121, 167)
SHEET_SIDE = 640
"""Largest side of one panel of a comparison sheet, in pixels."""


def overlay(image: NDArray[np.uint8], labels: Labels | NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Every class in its translucent color with an outline, on the image; one class is green.

    Args:
        image: (H, W, 3) RGB.
        labels: (H, W), uint8; or a mask, bool.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    shown = image.copy()
    thickness = max(1, round(max(labels.shape) / 1000))
    for label in np.unique(labels):
        if label in (0, IGNORED):
            continue
        color, mask = class_colors(int(label) + 1)[-1], labels == label
        shown[mask] = (0.6 * image[mask] + 0.4 * np.array(color, np.float32)).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, outlines, -1, color, thickness)
    return shown


def difference(
    target: Labels | NDArray[np.bool_], predicted: Labels | NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """White where both agree on a class, orange where invented, blue where missed.

    Purple is one class taken for another; gray is where the target is not known.

    Args:
        target: (H, W), labels; or a mask, bool.
        predicted: (H, W), labels; or a mask, bool.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    target, predicted = target.astype(np.uint8), predicted.astype(np.uint8)
    drawn = np.zeros((*target.shape, 3), np.uint8)
    drawn[(target > 0) & (target == predicted)] = TRUE_POSITIVE
    drawn[(target == 0) & (predicted > 0)] = FALSE_POSITIVE
    drawn[(target > 0) & (predicted == 0)] = FALSE_NEGATIVE
    drawn[(target > 0) & (predicted > 0) & (target != predicted)] = CONFUSED
    drawn[target == IGNORED] = label_palette(2)[IGNORED]
    return drawn


def comparison_sheet(evaluation: ImageEvaluation) -> Figure:
    """Image, target, whole, tiled, and where tiled differs from the target, side by side."""
    labels = {mode: labels_of(found) for mode, found in evaluation.probabilities.items()}
    dice = {mode: scores["dice"] for mode, scores in evaluation.scores.items()}
    count = len(evaluation.classes)
    panels = [
        ("image", evaluation.image),
        ("target", _paint(evaluation.target, count)),
        (f"whole, Dice {dice['resized']:.4f}", _paint(labels["resized"], count)),
        (f"tiled, Dice {dice['tiled']:.4f}", _paint(labels["tiled"], count)),
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
    marks = {"found": TRUE_POSITIVE, "invented": FALSE_POSITIVE, "missed": FALSE_NEGATIVE}
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
