"""Which files a dataset consists of, and what is out of place among them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiledseg.checking.finding import Finding
from tiledseg.config import DatasetSettings
from tiledseg.data.beside import list_beside, misnamed_split
from tiledseg.data.dataset import draw_missing_splits, find_splits
from tiledseg.data.pairing import (
    Sample,
    describe_twin,
    match_files,
    no_images_fault,
    not_text_fault,
)
from tiledseg.data.split import SPLITS
from tiledseg.errors import DatasetError
from tiledseg.images.unused import FOLDER, HIDDEN, Unused


@dataclass(frozen=True)
class Inventory:
    """The files of a dataset.

    Attributes:
        splits: Samples of each split, found or drawn; empty where nothing can be trained on.
        drawn: True where at least one split is drawn instead of found on disk.
        findings: What is out of place.
    """

    splits: Mapping[str, Sequence[Sample]]
    drawn: bool
    findings: Sequence[Finding]


def take_inventory(folder: Path, settings: DatasetSettings) -> Inventory:
    """List a dataset's files; nothing is decoded.

    Args:
        folder: The dataset.
        settings: How files are found and splits are drawn.
    """
    findings = list(_out_of_place(folder, settings))
    try:
        places = find_splits(folder, settings)
    except DatasetError as error:
        findings.append(_as_finding("layout", folder, error))
        return Inventory({}, drawn=False, findings=findings)
    found: dict[str, tuple[Sample, ...]] = {}
    for split, place in places.items():
        found[split], faults = _match(folder, place, settings)
        findings.extend(faults)
    if not found["train"]:
        return Inventory(found, drawn=False, findings=findings)
    try:
        splits, drawn = draw_missing_splits(found, settings.split, folder)
    except DatasetError as error:
        findings.append(_as_finding("split-too-small", folder, error))
        return Inventory(found, drawn=False, findings=findings)
    return Inventory(splits, drawn, findings)


def _match(
    folder: Path, split: str, settings: DatasetSettings
) -> tuple[tuple[Sample, ...], list[Finding]]:
    try:
        matched = match_files(folder, split, settings)
    except DatasetError as error:
        return (), [_as_finding("layout", folder / split, error)]
    faults = [
        Finding(
            "error",
            "stem-twice",
            second,
            f"has the same stem as {first.name}",
            "rename or remove one",
            (first,),
        )
        for first, second in matched.doubled
    ]
    names = not_text_fault(len(matched.not_text))
    fault, _, remedy = names.partition("; ")
    faults += [
        Finding("error", "name-not-utf8", path, fault, remedy) for path in matched.not_text[:1]
    ]
    images, masks = matched.folders
    for lonely, partners, code, other, place in (
        (matched.lonely_images, matched.lonely_masks, "image-without-mask", "mask", masks),
        (matched.lonely_masks, matched.lonely_images, "mask-without-image", "image", images),
    ):
        for path in lonely:
            twin = describe_twin(path, partners)
            remedy = f"add {place.name}/{path.stem}{path.suffix}, or remove the file"
            if twin:
                twin, remedy = f", but {place.name}/{twin}", "give both one name"
            faults.append(Finding("error", code, path, f"has no {other}{twin}", remedy))
    if not matched.samples and not matched.lonely_images and not matched.lonely_masks:
        faults.append(Finding("error", "layout", images, no_images_fault(), "or remove the folder"))
    faults.extend(_unread(matched.unused))
    return matched.samples, faults


def _out_of_place(folder: Path, settings: DatasetSettings) -> Iterator[Finding]:
    """What lies beside the folders of images and masks."""
    others = []
    for unused in list_beside(folder, settings):
        meant = misnamed_split(unused.path)
        if meant:
            message = f"is not read: the split is called {meant}"
            remedy = f"rename the folder to {meant}"
            yield Finding("warning", "split-misnamed", unused.path, message, remedy)
        elif unused.reason == FOLDER:
            message = f"is none of {', '.join(SPLITS)}, and is not read"
            remedy = "nothing, if that is meant"
            yield Finding("note", "folder-not-read", unused.path, message, remedy)
        else:
            others.append(unused)
    yield from _unread(others)


def _unread(found: Sequence[Unused]) -> Iterator[Finding]:
    hidden: dict[Path, list[str]] = {}
    for unused in found:
        if unused.reason == HIDDEN:
            hidden.setdefault(unused.path.parent, []).append(unused.path.name)
            continue
        yield Finding(
            "warning" if unused.is_suspicious else "note",
            "file-not-read",
            unused.path,
            f"is {unused.reason}, and is not read",
            unused.remedy,
        )
    for place, names in hidden.items():
        message = f"holds {len(names)} hidden file(s), which are not read ({names[0]}, ...)"
        yield Finding("note", "hidden-not-read", place, message, "nothing, as a rule")


def _as_finding(code: str, place: Path, error: DatasetError) -> Finding:
    """An error of loading as a finding; its message holds place and remedy already."""
    message, _, remedy = str(error).partition("; ")
    return Finding(
        "error", code, place, message.removeprefix(f"{place}: "), remedy or "see docs/datasets.md"
    )
