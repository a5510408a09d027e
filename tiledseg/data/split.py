"""Dividing images into train, valid and test by source image or group, never by tile."""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tiledseg.config import SplitSettings
from tiledseg.config.messages import shorten
from tiledseg.config.regular_files import read_text
from tiledseg.errors import DatasetError

SPLITS = ("train", "valid", "test")

OriginOf = Callable[[str], str]
"""The source image, or the patient or slide, of a stem."""

_MOST_NAMES = 10
"""Of columns, that stand in a message."""
_MARK = "\ufeff"
"""Of UTF-8, which some programs put before a CSV."""
_TILE = re.compile(r"_r?\d{1,6}[x_]c?\d{1,6}(_a\d+)?$", re.IGNORECASE)


def source_of(stem: str) -> str:
    """The source image that a stem is a tile of, or the stem itself.

    A tile's stem ends in ``_ROW_COLUMN``, ``_ROWxCOLUMN`` or ``_rROW_cCOLUMN``, numbers of six
    digits at most: the source is what stands before it. ``smear7_r0_c1`` and ``smear7_12x34``
    come from ``smear7``; ``smear_7`` is an image of its own, and so is ``IMG_20210512_101530``,
    a date and a time. ``_aNUMBER`` after that is a changed copy of the tile.
    """
    return _TILE.sub("", stem) or stem


def source_reader(settings: SplitSettings) -> OriginOf:
    """Choose ``source_of``, or the stem itself where names say nothing of tiles."""
    return source_of if settings.tiles else str


def draw_splits(
    stems: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
    folder: Path,
    group_of: OriginOf | None = None,
    *,
    origin_of: OriginOf = source_of,
) -> dict[str, list[str]]:
    """Draw splits from the sources of these stems; what remains is train.

    Sources are ranked by a hash of seed and name, so the draw is the same on every machine and
    with every version of NumPy. Each split gets one source at least. Sources of one group go
    together, and so do groups with a source in common.

    Args:
        stems: All stems.
        fractions: Share of the sources (or groups) that each split to draw gets.
        seed: Seed of the draw.
        folder: The dataset, named in errors.
        group_of: The patient or slide of a stem; None where there are no groups.
        origin_of: The source image of a stem.

    Returns:
        Sorted stems of ``train`` and of each split in ``fractions``; no source or group is in
        two.

    Raises:
        DatasetError: There are fewer sources, or groups, than splits.
    """
    unit_of = _units(stems, group_of, origin_of)
    units = sorted(set(unit_of.values()), key=lambda name: _rank(seed, name))
    needed = len(fractions) + 1
    if len(units) < needed:
        kind = "source image(s)" if group_of is None else "group(s)"
        remedy = (
            "files whose names differ only in a _ROW_COLUMN ending are tiles of one source, "
            "unless dataset.split.tiles is false"
        )
        if group_of is not None:
            groups = "dataset.split.group_pattern or group_file says which images are of one group"
            remedy = f"{groups}; {remedy}"
        raise DatasetError(
            f"{folder}: {len(units)} {kind} in {len(stems)} file(s), but drawing train "
            f"and {' and '.join(fractions)} needs {needed} ({remedy}); add images, or add the "
            "missing folders"
        )
    home: dict[str, str] = {}
    for split, count in _counts(len(units), fractions).items():
        for unit in units[len(home) : len(home) + count]:
            home[unit] = split
    drawn: dict[str, list[str]] = {"train": [], **{split: [] for split in fractions}}
    for stem in sorted(stems):
        drawn[home.get(unit_of[stem], "train")].append(stem)
    return drawn


def group_reader(settings: SplitSettings, folder: Path) -> OriginOf | None:
    """Make the function that tells the patient or slide of a stem.

    Args:
        settings: Pattern or file.
        folder: The dataset, where the file lies.

    Returns:
        A function of a stem, which raises DatasetError for one without group; None where
        neither is set.

    Raises:
        DatasetError: The file cannot be read, or is not what it should be.
    """
    if settings.group_file:
        return _read_listed_groups(folder / settings.group_file, source_reader(settings))
    if not settings.group_pattern:
        return None
    pattern = re.compile(settings.group_pattern)

    def match_group(stem: str) -> str:
        match = pattern.search(stem)
        if match is None or not match.group(1):
            raise DatasetError(
                f"{folder}: dataset.split.group_pattern {settings.group_pattern!r} finds no group "
                f"in {stem!r}; widen it, or list the groups in a CSV and set group_file"
            )
        return match.group(1)

    return match_group


def _read_listed_groups(path: Path, origin_of: OriginOf) -> OriginOf:
    try:
        lines = io.StringIO(read_text(path).removeprefix(_MARK), newline="")
        reader = csv.DictReader(lines, restval="")
        columns = list(reader.fieldnames or ())
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path}: dataset.split.group_file cannot be read ({error}); give a CSV in UTF-8 with "
            "the columns stem and group"
        ) from None
    if not {"stem", "group"} <= set(columns):
        found = ", ".join(map(shorten, columns[:_MOST_NAMES])) or "none"
        raise DatasetError(
            f"{path}: the first row names the columns {found}; it must name stem and group, with "
            "commas between columns"
        )
    groups: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        stem, group = ((row.get(column) or "").strip() for column in ("stem", "group"))
        if not stem or not group or groups.setdefault(stem, group) != group:
            twice = f"{shorten(stem)} has a second group"
            fault = twice if stem in groups else "no stem or no group"
            raise DatasetError(
                f"{path}: row {number}: {fault}; give every stem one group, in the columns stem "
                "and group"
            )

    def look_up_group(stem: str) -> str:
        group = groups.get(stem) or groups.get(origin_of(stem))
        if group is None:
            raise DatasetError(f"{path}: has no group for {stem!r}; add a row for it")
        return group

    return look_up_group


def _units(stems: Sequence[str], group_of: OriginOf | None, origin_of: OriginOf) -> dict[str, str]:
    """A name for each stem that it shares with all that must stay beside it."""
    if group_of is None:
        return {stem: origin_of(stem) for stem in stems}
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for stem in stems:
        nodes = (("group", group_of(stem)), ("source", origin_of(stem)))
        first, second = sorted(map(root, nodes))
        parent[second] = first
    return {stem: root(("source", origin_of(stem)))[1] for stem in stems}


def _counts(sources: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Sources per split: the nearest whole number, one at least, and one left for train."""
    counts = {split: max(1, round(sources * share)) for split, share in fractions.items()}
    while sum(counts.values()) >= sources:
        counts[max(counts, key=lambda split: counts[split])] -= 1
    return counts


def _rank(seed: int, source: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{source}".encode(), digest_size=16).digest()
