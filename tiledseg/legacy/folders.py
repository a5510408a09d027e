"""Translation of the paths of a file: the dataset's name, and its folders below that."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tiledseg.legacy.reader import Reader
from tiledseg.legacy.values import parse_text

_ROOTS = {"dataset", "datasets", "data"}
_SPLITS = {"train", "valid", "test", "eval"}
_ESCAPES = {
    ord(sign): f"/{letter}" for sign, letter in zip("\a\b\f\n\r\t\v", "abfnrtv", strict=True)
}
"""What Windows paths in quotes lose: in ``"dataset\\train"`` Python reads a tab."""
_IMAGES = ("train.image_datapath", "train.images_dir")
_MASKS = ("train.mask_datapath", "train.masks_dir")
_OTHER_SPLITS = (
    "eval.image_datapath", "eval.mask_datapath", "valid.images_dir", "valid.masks_dir",
    "test.image_datapath", "test.mask_datapath", "test.images_dir", "test.masks_dir",
)  # fmt: skip


@dataclass(frozen=True)
class SourceFolder:
    """A folder of images or masks of the source program.

    Attributes:
        name: The dataset's.
        pattern: What ``dataset.images`` or ``dataset.masks`` says of it.
    """

    name: str
    pattern: str


def translate_folders(reader: Reader, stem: str) -> None:
    """Put down the dataset's name and folders; ``stem`` names it if the file does not."""
    paths = {
        key: read_folder(reader.value(key, parse_text, ""))
        for key in (*_IMAGES, *_MASKS, *_OTHER_SPLITS)
    }
    source = next((key for key in paths if paths[key].name), "")
    name = paths[source].name if source else as_name(stem) or "imported"
    reader.put("dataset.name", name, source, words="" if source else "the file names no dataset")
    images = next((key for key in _IMAGES if paths[key].name), "")
    masks = next((key for key in _MASKS if paths[key].name), "")
    if images and masks and paths[images].name != paths[masks].name:
        words = f"masks lie in another dataset's folder than images; here below {name}"
        reader.add_note("unavailable", words, masks)
        masks = ""
    patterns = {
        "images": paths[images].pattern if images else "images",
        "masks": paths[masks].pattern if masks else "masks",
    }
    if patterns["images"] == patterns["masks"]:
        words = "images and masks lie in one folder; dataset.mask_suffix can tell them apart here"
        reader.add_note("unavailable", words, *filter(None, (images, masks)))
    else:
        for key, used in (("images", images), ("masks", masks)):
            if used:
                reader.put(f"dataset.{key}", patterns[key], used, instead=key)
    for used, kind in ((images, "image"), (masks, "mask")):
        _note_other_splits(reader, paths, used, kind)


def _note_other_splits(
    reader: Reader, paths: Mapping[str, SourceFolder], train: str, kind: str
) -> None:
    """Say of the folders of other splits whether they lie as that of train does."""
    for other in (key for key in _OTHER_SPLITS if kind in key):
        if train and paths[other].name and paths[other] != paths[train]:
            words = "lies otherwise than that of train; here all splits lie alike"
            reader.add_note("unavailable", words, other)
        else:
            words = "valid and test lie beside train here, or are drawn from it"
            reader.add_note("elsewhere", words, other)


def read_folder(path: str) -> SourceFolder:
    """Of a path such as ``../../../dataset/Tiled-Cell/train/images/``.

    The dataset's folder is the first behind ``dataset``, ``datasets`` or ``data``, or, without
    such a folder, the last before ``train`` or ``images``.
    """
    parts = _split(path)
    folded = [part.casefold() for part in parts]
    split = next((place for place, part in enumerate(folded) if part in _SPLITS), None)
    end = len(parts) if split is None else split
    root = next((place for place in reversed(range(end)) if folded[place] in _ROOTS), None)
    if root is not None:
        place = root + 1
    elif split is not None:
        place = split - 1
    else:
        place = max(0, len(parts) - 2) if folded[-1:] == ["images"] else 0
    if not 0 <= place < end or folded[place] in {"images", "masks"}:
        return SourceFolder("", "")
    between, below = parts[place + 1 : end], parts[end + 1 :]
    if split is None:
        pattern = "/".join(between) or "."
    elif between:
        pattern = "/".join((*between, "{split}", *below))
    else:
        pattern = "/".join(below) or "."
    return SourceFolder(as_name(parts[place]), pattern)


def as_name(folder: str) -> str:
    """A folder's name as one that a dataset may have; empty if nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9._ -]+", "-", folder).strip(" ._-")


def _split(path: str) -> Sequence[str]:
    """Folders of a path, however its slashes lean, without dots."""
    parts: list[str] = []
    for part in PurePosixPath(path.translate(_ESCAPES).replace("\\", "/")).parts:
        if part == ".." and parts:
            parts.pop()
        elif part.strip("./ "):
            parts.append(part)
    return parts
