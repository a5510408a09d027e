"""Colors of masks and charts, the same on every page."""

from tiledseg.masks.drawing import FALSE_NEGATIVE, FALSE_POSITIVE, GREEN, TRUE_POSITIVE

SEAM = (240, 228, 66)
"""Where one tile ends and the next begins."""

TILED = "#D55E00"
RESIZED = "#0072B2"
MODES = {"tiled": TILED, "resized": RESIZED}
"""Modes in charts."""
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#7F7F7F")
"""Runs and metrics in charts."""

PALETTE = {
    "mask": GREEN,
    "truePositive": TRUE_POSITIVE,
    "falsePositive": FALSE_POSITIVE,
    "falseNegative": FALSE_NEGATIVE,
    "seam": SEAM,
}
"""What the viewer is given."""
