"""The experiments that the project ships."""

from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
HOUSE_NAMES = (
    "Malignant-BreastDM",
    "MultipleMyeloma",
    "Synthetic-Cell",
    "Synthetic-Cell-Classes",
    "Tiled-Cell",
    "Tiled-Cervical-Cancer",
    "Tiled-MultipleMyeloma",
)
"""Somebody who works in this folder has others beside them, such as a sweep's best."""
HOUSE_EXPERIMENTS = [EXPERIMENTS / f"{name}.yaml" for name in HOUSE_NAMES]
HOUSE_SPACES = [EXPERIMENTS / "sweeps" / f"{name}.yaml" for name in ("default", "fine")]
