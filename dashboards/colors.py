"""Colors of masks, the same on every page.

From Okabe & Ito, "Color Universal Design", 2008, which color-blind people can tell apart. They
are those of ``evaluation.figures``, which cannot be imported here because it loads Keras; a test
compares them.
"""

MASK = (0, 158, 115)
"""A mask over an image, where nothing is said about its target."""
TRUE_POSITIVE = (255, 255, 255)
"""Where a mask agrees with the target; a mask on black."""
FALSE_POSITIVE = (230, 159, 0)
"""Foreground that the target does not have."""
FALSE_NEGATIVE = (86, 180, 233)
"""Foreground of the target that the mask does not have."""
SEAM = (240, 228, 66)
"""Where one tile ends and the next begins."""

TILED = "#D55E00"
RESIZED = "#0072B2"
MODES = {"tiled": TILED, "resized": RESIZED}
"""Modes in charts."""
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#7F7F7F")
"""Runs and metrics in charts."""

PALETTE = {
    "mask": MASK,
    "found": TRUE_POSITIVE,
    "invented": FALSE_POSITIVE,
    "missed": FALSE_NEGATIVE,
    "seam": SEAM,
}
"""What the viewer is given."""
