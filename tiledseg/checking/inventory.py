"""Which files a dataset consists of, and what is out of place among them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiledseg.checking.finding import Finding
from tiledseg.config import DatasetSettings
from tiledseg.data.dataset import draw_missing_splits, find_splits
from tiledseg.data.pairing import Sample, match_files, no_images_fault
from tiledseg.data.split import SPLITS
from tiledseg.errors import DatasetError
from tiledseg.images.reading import READ_SUFFIXES, is_image

_MISNAMED = {
    "val": "valid",
    "validation": "valid",
    "validate": "valid",
    "dev": "valid",
    "training": "train",
    "testing": "test",
}
_UNREAD_IMAGES = (".gif", ".webp", ".npy", ".npz", ".jp2", ".dcm", ".nii", ".svs", ".heic", ".mat")


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
    images, masks = matched.folders
    for lonely, code, other, place in (
        (matched.lonely_images, "image-without-mask", "mask", masks),
        (matched.lonely_masks, "mask-without-image", "image", images),
    ):
        faults += [
            Finding(
                "error",
                code,
                path,
                f"has no {other}",
                f"add {place.name}/{path.stem}{path.suffix}, or remove the file",
            )
            for path in lonely
        ]
    if not matched.samples and not matched.lonely_images and not matched.lonely_masks:
        faults.append(Finding("error", "layout", images, no_images_fault(), "or remove the folder"))
    for place in dict.fromkeys(matched.folders):
        inner = settings.masks_per_image == "several" and place == masks
        faults.extend(_unread(place, folders_are_read=inner or place in (folder, folder / split)))
    return matched.samples, faults


def _out_of_place(folder: Path, settings: DatasetSettings) -> Iterator[Finding]:
    """Folders beside the splits; misnamed ones are the trap, as their images are never seen."""
    beside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    for path in beside:
        name = path.name
        ours = {pattern.partition("/")[0] for pattern in (settings.images, settings.masks)}
        known = name in SPLITS or name in ours or name.startswith(".")
        meant = _MISNAMED.get(name.casefold()) or (
            name.casefold() if name.casefold() in SPLITS else ""
        )
        if not known and meant:
            yield Finding(
                "warning",
                "split-misnamed",
                path,
                f"is not read: the split is called {meant}",
                f"rename the folder to {meant}",
            )
        elif not known:
            yield Finding(
                "note",
                "folder-not-read",
                path,
                f"is none of {', '.join(SPLITS)}, and is not read",
                "nothing, if that is meant",
            )


def _unread(place: Path, *, folders_are_read: bool) -> Iterator[Finding]:
    for path in sorted(place.iterdir()):
        if path.is_dir() and folders_are_read:
            continue
        if path.name.startswith(".") or is_image(path):
            continue
        image = path.suffix.lower() in _UNREAD_IMAGES
        yield Finding(
            "warning" if image else "note",
            "file-not-read",
            path,
            "is a folder, and is not read" if path.is_dir() else f"is not read ({path.suffix})",
            f"convert it to one of {', '.join(READ_SUFFIXES)}" if image else "move it elsewhere",
        )


def _as_finding(code: str, place: Path, error: DatasetError) -> Finding:
    """An error of loading as a finding; its message holds place and remedy already."""
    message, _, remedy = str(error).partition("; ")
    return Finding(
        "error", code, place, message.removeprefix(f"{place}: "), remedy or "see docs/datasets.md"
    )
