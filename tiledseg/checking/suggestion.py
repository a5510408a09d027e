"""Suggestion of the ``dataset`` section that reads a folder."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tiledseg.config import DatasetSettings
from tiledseg.config.strict_yaml import to_yaml
from tiledseg.data.pairing import Pairing, match_files, split_folder
from tiledseg.errors import DatasetError, ImageError
from tiledseg.images.content import READ_SUFFIXES
from tiledseg.images.label_files import colors_of, is_lossy, read_label_values
from tiledseg.images.reading import list_images, read_mask_brightness, read_pages

_MASK_NAMES = ("mask", "label", "annot", "target", "gt", "target", "seg")
_LOOKED_AT = 12
"""Masks from which the rule is told."""
_MOST_COLORS = 8
_MOST_LABELS, _VOID = 32, 255
"""Largest number that is taken for a class; what is usually neither."""
_TEMPLATE = """dataset:
  name: NAME
  images: images        # folder of the images; "." is the folder itself
  masks: masks          # folder of the masks; may be the same
  image_suffix: ''      # what names of images end in, such as _img or .jpg
  mask_suffix: ''       # what names of masks end in, such as _mask or .png"""


@dataclass(frozen=True)
class Suggestion:
    """How a folder can be read.

    Attributes:
        section: The ``dataset`` section, as YAML.
        settings: The same, checked.
        summary: What was found, in words.
    """

    section: str
    settings: DatasetSettings
    summary: str


def suggest_section(folder: Path, name: str) -> Suggestion:
    """Find out how images and masks of a folder belong together, and how masks are read.

    Args:
        folder: A folder with images and masks in it, or one folder below, with or without splits.
        name: For ``dataset.name``.

    Raises:
        DatasetError: They do not; the message says what is there, and the section to write.
    """
    split, folders = _find_image_folders(folder)
    best: tuple[int, dict[str, Any], Pairing] | None = None
    for here, naming in _namings(folder, split, folders):
        try:
            settings = DatasetSettings.model_validate({"name": name, **naming})
            found = match_files(folder, here, settings)
        except (ValidationError, DatasetError):
            continue
        score = 2 * len(found.samples) - len(found.lonely_images) - len(found.lonely_masks)
        if found.samples and (best is None or score > best[0]):
            best = score, naming, found
    if best is None:
        raise _no_layout_error(folder)
    _, naming, found = best
    naming = {
        **naming,
        **_suggest_mask_rule([path for sample in found.samples for path in sample.mask_files]),
    }
    usual = DatasetSettings(name=name).model_dump(mode="json")
    section = {key: value for key, value in naming.items() if usual[key] != value}
    lonely = len(found.lonely_images) + len(found.lonely_masks)
    return Suggestion(
        to_yaml({"dataset": {"name": name, **section}}).rstrip(),
        DatasetSettings.model_validate({"name": name, **naming}),
        f"{len(found.samples)} images with masks in {found.folders[0]}"
        + (f", {lonely} files without partner" if lonely else ""),
    )


def _find_image_folders(folder: Path) -> tuple[str, list[str]]:
    """The split to look at (empty: none), and the folders in it that hold images."""
    split = "train" if (folder / "train").is_dir() else ""
    home = folder / split
    inside = [path for path in sorted(home.iterdir()) if path.is_dir()]
    folders = [path.name for path in inside if _holds_images(path)]
    return split, [".", *folders] if list_images(home) else folders


def _holds_images(folder: Path) -> bool:
    """Whether a folder, or one in it (a split, the masks of an image), holds images."""
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return any(list_images(path) for path in (folder, *inside))


def _namings(
    folder: Path, split: str, folders: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Splits, and ways to name files that might fit; those that need least saying come first."""
    pairs = sorted(permutations(folders, 2), key=lambda pair: _rank_folder_names(*pair))
    for images, masks in (*pairs, *((one, one) for one in folders)):
        last = not split and (folder / images / "train").is_dir()
        here, end = ("train", "/{split}") if last else (split, "")
        named = {"images": images + end, "masks": masks + end}
        homes = [split_folder(folder, here, pattern) for pattern in named.values()]
        if not all(home.is_dir() for home in homes):
            continue
        if images != masks:
            yield here, named
        names = [path.name for home in dict.fromkeys(homes) for path in list_images(home)]
        for image_suffix, mask_suffix in _suffixes(names):
            suffixed = {**named, "image_suffix": image_suffix, "mask_suffix": mask_suffix}
            for several in ("one", "several"):
                yield here, {**suffixed, "masks_per_image": several}
        if images != masks:
            yield here, {**named, "masks_per_image": "several"}


def _suffixes(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Endings of names that may tell images from masks, the commonest first."""
    stems = [Path(name).stem for name in names]
    ends = Counter("_" + part for stem in stems for part in stem.split("_")[1:])
    words = [end for end, _ in ends.most_common(12) if not end[1:].isdigit()]
    for end in sorted(words, key=lambda end: _rank_folder_names("", end)):
        yield "", end
        for other in words:
            if other != end:
                yield other, end
    kinds = [kind for kind, _ in Counter(Path(name).suffix for name in names).most_common(3)]
    yield from permutations(kinds, 2)


def _rank_folder_names(images: str, masks: str) -> int:
    """Rank two names: 0 where only the second is a word for masks, so that it sorts first."""

    def names_masks(text: str) -> bool:
        return any(word in text.casefold() for word in _MASK_NAMES)

    return names_masks(images) + (not names_masks(masks))


@dataclass(frozen=True)
class _MaskValues:
    """What some of the masks of a dataset hold.

    Attributes:
        background: The commonest value; one number, or three of a color.
        others: All other values.
        brightest: On the 8-bit scale, of all channels.
        lossy: Whether a mask is a JPEG, which changes values.
    """

    background: tuple[int, ...]
    others: tuple[tuple[int, ...], ...]
    brightest: int
    lossy: bool

    @property
    def is_on_color(self) -> bool:
        """Whether a few colors lie on one that is not black.

        Black is then one of the objects' colors, or there is none.
        """
        few = 0 < len(self.others) <= _MOST_COLORS
        return any(self.background) and len(self.background) == 3 and few

    @property
    def is_numbered(self) -> bool:
        """Whether values on black are numbers of objects, some of which a threshold would lose.

        Where only one of several gray values is 255, the mask is taken for a soft one.
        """
        if not self.others or self.lossy or any(self.background):
            return False
        heights = [max(value) for value in self.others]
        soft = len(self.background) == 1 and len(heights) > 1 and max(heights) == 255
        return not soft and (min(heights) <= 127 or max(heights) > 255)


def _suggest_mask_rule(paths: Sequence[Path]) -> dict[str, Any]:
    """The settings that find foreground, told from some of the masks."""
    labels = _labels_beside_void(paths)
    if labels:
        names = ["background", *(f"class {label}" for label in range(1, max(labels) + 1))]
        return {"mask_form": "labels", "classes": names, "ignore_label": _VOID}
    held = _sample_values(paths)
    if held.is_on_color:
        listed = ", ".join(_as_value(value) for value in sorted(held.others))
        return {"mask_form": "values", "mask_values": listed}
    if held.is_numbered:
        return {"mask_form": "nonzero"}
    if 0 < held.brightest <= 127:
        return {"mask_threshold": held.brightest // 2}
    return {}


def _labels_beside_void(paths: Sequence[Path]) -> set[int]:
    """Small numbers in masks that else hold 0 and 255; empty where they hold anything else."""
    found: set[int] = set()
    for path in _some_of(paths):
        if is_lossy(path):
            return set()
        try:
            found |= set(np.unique(read_label_values(path)).tolist())
        except DatasetError:  # colors
            return set()
        except ImageError:
            continue
    small = found - {0, _VOID}
    return small if _VOID in found and small and max(small) <= _MOST_LABELS else set()


def _some_of(paths: Sequence[Path]) -> Sequence[Path]:
    """At most ``_LOOKED_AT`` of them, from all over."""
    return paths[:: max(1, len(paths) // _LOOKED_AT)][:_LOOKED_AT]


def _sample_values(paths: Sequence[Path]) -> _MaskValues:
    """Values of at most ``_LOOKED_AT`` masks from all over; those that cannot be read left out."""
    values: Counter[tuple[int, ...]] = Counter()
    brightest = 0
    for path in _some_of(paths):
        try:
            pages = [colors_of(page) for page in read_pages(path)]
            brightest = max(brightest, _brightest(path))
        except ImageError:
            continue
        for page in pages:
            values.update(_count_values(page))
    background = values.most_common(1)[0][0] if values else (0,)
    return _MaskValues(
        background=background,
        others=tuple(value for value in values if value != background),
        brightest=brightest,
        lossy=any(is_lossy(path) for path in paths),
    )


def _count_values(pixels: NDArray[Any]) -> dict[tuple[int, ...], int]:
    """How often each value or color occurs in (H, W, 1) or (H, W, 3)."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    if pixels.shape[-1] == 1:
        found, counts = np.unique(flat, return_counts=True)
        rows = found[:, np.newaxis]
    elif pixels.dtype.itemsize <= 2:
        # One number for a color: sorting millions of rows takes a hundred times as long.
        packed = flat.astype(np.int64) @ (1 << np.array([32, 16, 0], np.int64))
        found, counts = np.unique(packed, return_counts=True)
        rows = np.stack([found >> 32, found >> 16 & 0xFFFF, found & 0xFFFF], axis=-1)
    else:
        rows, counts = np.unique(flat, axis=0, return_counts=True)
    return dict(zip(map(tuple, rows.tolist()), counts.tolist(), strict=True))


def _brightest(path: Path) -> int:
    try:
        return int(read_mask_brightness(path).max())
    except ImageError:  # 32 bits: labels, which have no brightness
        return 0


def _as_value(value: Sequence[int]) -> str:
    if len(set(value)) == 1:
        return str(value[0])
    return "#" + "".join(f"{channel:02x}" for channel in value)


def _no_layout_error(folder: Path) -> DatasetError:
    held = []
    for path in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())][:20]:
        files = list_images(path)
        if files:
            name = path.relative_to(folder).as_posix()
            held.append(f"{len(files)} in {name} ({files[0].name}, ...)")
    found = "; ".join(held) or f"no images ({', '.join(READ_SUFFIXES)})"
    return DatasetError(
        f"{folder}: no masks can be told from images by folder, suffix or extension. Images found: "
        f"{found}. Name masks after their images, and write into the experiment\n{_TEMPLATE}"
    )
