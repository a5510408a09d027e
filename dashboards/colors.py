"""Colours of masks, the same on every page.

From Okabe & Ito, "Color Universal Design", 2008, which colour-blind people can tell apart. They
are those of ``tiledseg.evaluation.figures``, which cannot be imported here because it loads Keras; a test
compares them.
"""

MASK = (0, 158, 115)
"""A mask over an image, where nothing is said about its truth."""
FOUND = (255, 255, 255)
"""Where a mask agrees with the truth; a mask on black."""
INVENTED = (230, 159, 0)
"""Foreground that the truth does not have."""
MISSED = (86, 180, 233)
"""Foreground of the truth that the mask does not have."""
SEAM = (240, 228, 66)
"""Where one tile ends and the next begins."""

TILED = "#D55E00"
WHOLE = "#0072B2"
MODES = {"tiled": TILED, "whole": WHOLE}
"""Modes in charts."""
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#7F7F7F")
"""Runs and metrics in charts."""

PALETTE = {
    "mask": MASK,
    "found": FOUND,
    "invented": INVENTED,
    "missed": MISSED,
    "seam": SEAM,
}
"""What the viewer is given."""
