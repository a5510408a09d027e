"""Statistics of each split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiledseg.checking.facts import ImageFacts


@dataclass(frozen=True)
class SplitNumbers:
    """What was measured on a split.

    Attributes:
        split: Its name.
        images: Number of images that could be read.
        megapixels: Of all of them.
        foreground: Mean fraction of an image that is foreground.
        objects: Number of objects.
        sides: 5th, 50th and 95th percentile of their longer sides, in pixels; 0 without objects.
        brightness: Least, median and largest mean brightness of an image, 0 to 255.
    """

    split: str
    images: int
    megapixels: float
    foreground: float
    objects: int
    sides: tuple[float, float, float]
    brightness: tuple[float, float, float]


def split_numbers(images: Sequence[ImageFacts]) -> list[SplitNumbers]:
    """The numbers of each split that has images, in their order."""
    rows = []
    for split in dict.fromkeys(facts.split for facts in images):
        part = [facts for facts in images if facts.split == split]
        sides = np.concatenate([facts.mask.sides for facts in part])
        rows.append(
            SplitNumbers(
                split=split,
                images=len(part),
                megapixels=sum(facts.shape[0] * facts.shape[1] for facts in part) / 1e6,
                foreground=float(np.mean([facts.mask.foreground for facts in part])),
                objects=len(sides),
                sides=_percentiles(sides, (5, 50, 95)),
                brightness=_percentiles(
                    np.array([facts.brightness for facts in part]), (0, 50, 100)
                ),
            )
        )
    return rows


def mask_values(images: Sequence[ImageFacts]) -> list[tuple[int, float]]:
    """The numbers that masks hold, and their shares of all pixels, smallest first.

    Masks of colors, or of a format that changes values, are left out.
    """
    counts: Counter[int] = Counter()
    for facts in images:
        counts.update(facts.mask.values)
    return [(value, count / counts.total()) for value, count in sorted(counts.items())]


def _percentiles(
    values: np.ndarray, percentiles: tuple[int, int, int]
) -> tuple[float, float, float]:
    if not len(values):
        return 0.0, 0.0, 0.0
    low, middle, high = np.percentile(values, percentiles).tolist()
    return low, middle, high
