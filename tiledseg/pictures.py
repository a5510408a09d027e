"""Pictures for people: overlays, comparison sheets, learning curves.

Colours are from Okabe & Ito, "Color Universal Design", 2008, which colour-blind people can
tell apart.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from tiledseg.evaluation import ImageEvaluation
from tiledseg.prediction import to_mask

GREEN = (0, 158, 115)
FOUND = (255, 255, 255)
INVENTED = (230, 159, 0)
MISSED = (86, 180, 233)
SHEET_SIDE = 640
"""Largest side of one panel of a comparison sheet, in pixels."""


def overlay(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The mask in translucent green with an outline, on the image.

    Args:
        image: (H, W, 3) RGB.
        mask: (H, W).

    Returns:
        (H, W, 3) uint8 RGB.
    """
    painted = image.copy()
    tint = np.array(GREEN, np.float32)
    painted[mask] = (0.6 * image[mask] + 0.4 * tint).astype(np.uint8)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(max(mask.shape) / 1000))
    cv2.drawContours(painted, outlines, -1, GREEN, thickness)
    return painted


def difference(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """White where both agree on foreground, orange where invented, blue where missed.

    Args:
        truth: (H, W).
        predicted: (H, W).

    Returns:
        (H, W, 3) uint8 RGB.
    """
    painted = np.zeros((*truth.shape, 3), np.uint8)
    painted[truth & predicted] = FOUND
    painted[~truth & predicted] = INVENTED
    painted[truth & ~predicted] = MISSED
    return painted


def comparison_sheet(evaluation: ImageEvaluation) -> Figure:
    """Image, truth, whole, tiled, and where tiled differs from the truth, side by side."""
    tiled = to_mask(evaluation.probabilities["tiled"])
    whole = to_mask(evaluation.probabilities["whole"])
    dice = {mode: scores["dice"] for mode, scores in evaluation.scores.items()}
    panels: list[tuple[str, NDArray[np.uint8] | NDArray[np.bool_]]] = [
        ("image", evaluation.image),
        ("truth", evaluation.truth),
        (f"whole, Dice {dice['whole']:.4f}", whole),
        (f"tiled, Dice {dice['tiled']:.4f}", tiled),
        ("tiled against truth", difference(evaluation.truth, tiled)),
    ]
    height, width = evaluation.truth.shape
    figure = Figure(figsize=(20, 20 / 5 * height / width + 0.9), dpi=110, layout="constrained")
    figure.suptitle(f"{evaluation.sample.stem}   {width} x {height} px, {evaluation.split}")
    for axes, (title, panel) in zip(figure.subplots(1, 5), panels, strict=True):
        axes.imshow(_reduced(panel), cmap="gray", vmin=0, vmax=255, interpolation="none")
        axes.set_title(title)
        axes.set_axis_off()
    marks = {"found": FOUND, "invented": INVENTED, "missed": MISSED}
    handles = [
        Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor="black", label=label)
        for label, (red, green, blue) in marks.items()
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False)
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
    figure.savefig(path, format="png")


def _reduced(panel: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A panel at the sheet's size; masks as 0 and 255 with their edges averaged."""
    pixels = panel.astype(np.uint8) * 255 if panel.dtype == np.bool_ else panel
    factor = SHEET_SIDE / max(pixels.shape[:2])
    if factor >= 1.0:
        return np.asarray(pixels, np.uint8)
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
