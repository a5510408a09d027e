"""Dividing images into train, valid and test by source image, never by tile."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiledseg.errors import DatasetError

_TILE = re.compile(r"_r?\d+[x_]c?\d+(_a\d+)?$", re.IGNORECASE)


def source_of(stem: str) -> str:
    """The source image that a stem is a tile of, or the stem itself.

    A tile's stem ends in ``_ROW_COLUMN``, ``_ROWxCOLUMN`` or ``_rROW_cCOLUMN`` (digits): the
    source is what stands before it. ``smear7_r0_c1`` and ``smear7_12x34`` come from ``smear7``;
    ``smear_7`` is an image of its own. ``_aNUMBER`` after that is a changed copy of the tile.
    """
    return _TILE.sub("", stem) or stem


def draw_splits(
    stems: Sequence[str], fractions: Mapping[str, float], seed: int, folder: Path
) -> dict[str, list[str]]:
    """Draw splits from the sources of these stems; what remains is train.

    Sources are ranked by a hash of seed and name, so the draw is the same on every machine and
    with every version of NumPy. Each split gets one source at least.

    Args:
        stems: All stems.
        fractions: Share of the sources that each split to draw gets.
        seed: Seed of the draw.
        folder: The dataset, named in errors.

    Returns:
        Sorted stems of ``train`` and of each split in ``fractions``; no source is in two.

    Raises:
        DatasetError: There are fewer sources than splits.
    """
    sources = sorted({source_of(stem) for stem in stems}, key=lambda name: _rank(seed, name))
    needed = len(fractions) + 1
    if len(sources) < needed:
        raise DatasetError(
            f"{folder}: {len(sources)} source image(s) in {len(stems)} file(s), but drawing train "
            f"and {' and '.join(fractions)} needs {needed} (files whose names differ only in a "
            "_ROW_COLUMN ending are tiles of one source); add images, or add the missing folders"
        )
    home: dict[str, str] = {}
    for split, count in _counts(len(sources), fractions).items():
        for source in sources[len(home) : len(home) + count]:
            home[source] = split
    drawn: dict[str, list[str]] = {"train": [], **{split: [] for split in fractions}}
    for stem in sorted(stems):
        drawn[home.get(source_of(stem), "train")].append(stem)
    return drawn


def _counts(sources: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Sources per split: the nearest whole number, one at least, and one left for train."""
    counts = {split: max(1, round(sources * share)) for split, share in fractions.items()}
    while sum(counts.values()) >= sources:
        counts[max(counts, key=lambda split: counts[split])] -= 1
    return counts


def _rank(seed: int, source: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{source}".encode(), digest_size=16).digest()
