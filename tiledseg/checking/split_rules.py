"""Splits that are too small, or share what they must not share."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from tiledseg.checking.finding import Finding
from tiledseg.config import SplitSettings
from tiledseg.data.pairing import Sample
from tiledseg.data.split import OriginOf, group_reader, source_of
from tiledseg.errors import DatasetError, ImageError
from tiledseg.images.hashing import hash_content

_FEW = {"train": 5, "valid": 2, "test": 2}
_SHARED = "put it in one split alone; scores on the other would be too good"
_NOT_TILES = f"{_SHARED} (dataset.split.tiles: false where such names are no tiles)"


def split_findings(
    splits: Mapping[str, Sequence[Sample]], settings: SplitSettings, folder: Path
) -> Iterator[Finding]:
    """Judge splits by their names and sizes, and by the bytes of their images.

    This is the quick part of a check: nothing is decoded.

    Args:
        splits: Samples of each split.
        settings: Which images are of one group.
        folder: The dataset.
    """
    for split, samples in splits.items():
        if 0 < len(samples) < _FEW[split]:
            yield Finding(
                "warning",
                "split-small",
                samples[0].image.parent,
                f"{split} has {len(samples)} image(s): "
                + ("too few to learn from" if split == "train" else "one image decides the score"),
                "add images",
            )
    if settings.tiles:
        yield from _find_shared(splits, source_of, "source-in-two-splits", _NOT_TILES)
    yield from _find_shared_groups(splits, settings, folder)
    yield from _same_bytes(splits)


def refuse_leaks(
    splits: Mapping[str, Sequence[Sample]], settings: SplitSettings, folder: Path
) -> None:
    """Refuse splits that share a source image, a group or an image file.

    Args:
        splits: Samples of each split.
        settings: Which images are of one group.
        folder: The dataset.

    Raises:
        DatasetError: They do; the message names the first, and the number of all.
    """
    found = split_findings(splits, settings, folder)
    leaks = [finding for finding in found if finding.severity == "error"]
    if leaks:
        first = leaks[0]
        more = f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
        raise DatasetError(
            f"{first.place}: {first.message}{more}; {first.remedy}; "
            "tiledseg check lists all findings"
        )


def _find_shared_groups(
    splits: Mapping[str, Sequence[Sample]], settings: SplitSettings, folder: Path
) -> Iterator[Finding]:
    try:
        group_of = group_reader(settings, folder)
        if group_of is not None:
            yield from list(_find_shared(splits, group_of, "group-in-two-splits"))
    except DatasetError as error:
        message, _, remedy = str(error).removeprefix(f"{folder}: ").rpartition("; ")
        yield Finding("error", "no-group", folder, message, remedy)


def _find_shared(
    splits: Mapping[str, Sequence[Sample]],
    origin_of: OriginOf,
    kind: str,
    remedy: str = _SHARED,
) -> Iterator[Finding]:
    homes = {
        split: {origin_of(sample.stem): sample for sample in reversed(samples)}
        for split, samples in splits.items()
    }
    for one, other in combinations(homes, 2):
        for origin in sorted(homes[one].keys() & homes[other].keys()):
            here, there = homes[one][origin], homes[other][origin]
            yield Finding(
                "error",
                kind,
                there.image,
                f"comes from {origin}, as {here.image.name} of {one} does",
                remedy,
                (here.image,),
            )


def _same_bytes(splits: Mapping[str, Sequence[Sample]]) -> Iterator[Finding]:
    first_with: dict[str, tuple[str, Path]] = {}
    for split, samples in splits.items():
        for sample in samples:
            try:
                digest = hash_content(sample.image)
            except ImageError:  # found, with its reason, where images are read
                continue
            home, twin = first_with.setdefault(digest, (split, sample.image))
            if twin == sample.image:
                continue
            apart = home != split
            yield Finding(
                "error" if apart else "warning",
                "same-image-in-two-splits" if apart else "same-image-twice",
                sample.image,
                f"is the same file as {twin.name} of {home}",
                _SHARED if apart else "remove one, or it counts twice",
                (twin,),
            )
