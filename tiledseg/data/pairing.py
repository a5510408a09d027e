"""Images and their masks, paired by the stem of their names and never by position."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiledseg.config import DatasetSettings
from tiledseg.errors import DatasetError, ImageError
from tiledseg.images.content import READ_SUFFIXES
from tiledseg.images.names import as_text, is_text, small_difference
from tiledseg.images.opening import stem_of
from tiledseg.images.reading import is_image, list_images
from tiledseg.images.unused import Unused, describe_unused, is_open_folder, list_unused

logger = logging.getLogger(__name__)

_SEPARATORS = "_-. "
_USUAL = DatasetSettings(name="usual")


@dataclass(frozen=True)
class Sample:
    """One image and its mask.

    Attributes:
        stem: Name shared by both files, without suffix.
        image: The image file.
        mask: The mask file; where masks are of another form, its copy as 0 and 255.
        sources: The mask files as they lie in the dataset, where they are of another form.
    """

    stem: str
    image: Path
    mask: Path
    sources: tuple[Path, ...] = ()

    @property
    def mask_files(self) -> tuple[Path, ...]:
        """The mask files as they lie in the dataset; at least one."""
        return self.sources or (self.mask,)


@dataclass(frozen=True)
class Pairing:
    """Images and masks of two folders, paired, and the files that have no partner.

    Attributes:
        samples: Those that have both, sorted by stem.
        lonely_images: Images without mask.
        lonely_masks: Masks without image.
        doubled: Files of a stem that an earlier file in the same folder has, after it.
        folders: That of the images and that of the masks.
        unused: What else lies in them.
        count: Everything that lies in them, unused or not.
    """

    samples: tuple[Sample, ...]
    lonely_images: tuple[Path, ...]
    lonely_masks: tuple[Path, ...]
    doubled: tuple[tuple[Path, Path], ...]
    folders: tuple[Path, Path]
    unused: tuple[Unused, ...]
    count: int

    @property
    def not_text(self) -> list[Path]:
        """Images and masks whose names are not UTF-8."""
        files = [file for each in self.samples for file in (each.image, *each.mask_files)]
        return [
            path
            for path in (*files, *self.lonely_images, *self.lonely_masks)
            if not is_text(path.name)
        ]


def split_folder(folder: Path, split: str, pattern: str) -> Path:
    """The folder of a split's images or masks.

    Args:
        folder: The dataset.
        split: The split; empty where the dataset has none.
        pattern: ``dataset.images`` or ``dataset.masks``.
    """
    if "{split}" in pattern:
        return folder / pattern.replace("{split}", split)
    return folder / split / pattern


def match_files(folder: Path, split: str, settings: DatasetSettings) -> Pairing:
    """Match images with masks by stem.

    Args:
        folder: The dataset.
        split: The split; empty where the dataset has none.
        settings: Folders and suffixes.

    Raises:
        DatasetError: A folder is missing or cannot be listed.
    """
    folders = (
        split_folder(folder, split, settings.images),
        split_folder(folder, split, settings.masks),
    )
    listed = _list_files(folders[0])
    if folders[0] == folders[1]:
        mask_paths = [path for path in listed if _is_mask(path, settings)]
        taken = set(mask_paths)
        listed = [path for path in listed if path not in taken]
    else:
        mask_paths = _list_files(folders[1], with_folders=settings.masks_per_image == "several")
    unused = _list_unused(folder, split, settings)
    images, twins, strangers = _by_stem(listed, settings.image_suffix)
    if settings.masks_per_image == "several":
        groups, lonely = _group(mask_paths, settings.mask_suffix, images)
        mask_twins: list[tuple[Path, Path]] = []
    else:
        masks, mask_twins, lonely = _by_stem(mask_paths, settings.mask_suffix)
        groups = {stem: (path,) for stem, path in masks.items() if stem in images}
        lonely += [path for stem, path in sorted(masks.items()) if stem not in images]
    other_form = settings.masks_per_image == "several" or settings.mask_form != "threshold"
    return Pairing(
        samples=tuple(
            Sample(stem, images[stem], groups[stem][0], groups[stem] if other_form else ())
            for stem in sorted(groups)
        ),
        lonely_images=(
            *strangers,
            *(path for stem, path in sorted(images.items()) if stem not in groups),
        ),
        lonely_masks=tuple(lonely),
        doubled=(*twins, *mask_twins),
        folders=folders,
        unused=tuple(unused),
        count=len(unused) + len(listed) + len(mask_paths),
    )


def pair(folder: Path, split: str = "", settings: DatasetSettings = _USUAL) -> tuple[Sample, ...]:
    """Pair images with masks by stem.

    Args:
        folder: The dataset.
        split: The split; empty where the dataset has none.
        settings: Folders and suffixes.

    Returns:
        One sample per stem, sorted by stem; at least one.

    Raises:
        DatasetError: A folder is missing or empty, a stem is there twice, or an image or mask
            is without partner.
    """
    found = match_files(folder, split, settings)
    if found.unused:
        places = " and ".join(str(place) for place in dict.fromkeys(found.folders))
        logger.warning("%s: %s", places, describe_unused(found.unused, found.count))
    if found.not_text:
        raise DatasetError(
            f"{as_text(str(found.not_text[0]))}: {not_text_fault(len(found.not_text))}"
        )
    for first, second in found.doubled:
        raise DatasetError(f"{first} and {second.name} have the same stem; rename or remove one")
    count = len(found.samples)
    if not count and not found.lonely_images and not found.lonely_masks:
        raise DatasetError(f"{found.folders[0]} {no_images_fault()}")
    images, masks = found.folders
    _require_none(
        found.lonely_images, count, "image", "mask", masks, settings.mask_suffix, found.lonely_masks
    )
    _require_none(
        found.lonely_masks,
        count,
        "mask",
        "image",
        images,
        settings.image_suffix,
        found.lonely_images,
    )
    return found.samples


def not_text_fault(count: int) -> str:
    """Message for names that are not UTF-8; follows the name of the first."""
    return (
        f"{count} file names are not UTF-8, as old archives leave them; rename them, for example "
        "with convmv -f latin1 -t utf8 --notest -r FOLDER"
    )


def no_images_fault() -> str:
    """Message for a folder without images; follows its name."""
    return f"holds no images; add some ({', '.join(READ_SUFFIXES)})"


def _strip_suffix(path: Path, suffix: str) -> str | None:
    """A file's name without a suffix, or None where it ends in something else.

    Args:
        path: The file.
        suffix: An end with extension (``_mask.png``, ``.png``), without (``_mask``), or nothing.
    """
    name = path.name if "." in suffix else stem_of(path)
    if not name.endswith(suffix) or name == suffix:
        return None
    return name.removesuffix(suffix)


def _is_mask(path: Path, settings: DatasetSettings) -> bool:
    """Whether a file in a folder of both is a mask: the longer suffix that fits decides."""
    numbered = settings.masks_per_image == "several" and settings.mask_suffix in path.stem
    if settings.mask_suffix and numbered:
        return True
    ends = (
        (len(settings.image_suffix), False, settings.image_suffix),
        (len(settings.mask_suffix), True, settings.mask_suffix),
    )
    fitting = [end for end in ends if _strip_suffix(path, end[2]) is not None]
    return max(fitting, default=(0, False, ""))[1]


def _list_files(folder: Path, *, with_folders: bool = False) -> list[Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} does not exist; add it, with one file per stem")
    try:
        paths = list_images(folder)
        if with_folders:
            paths += [path for place in _inner_folders(folder) for path in list_images(place)]
    except ImageError as error:
        raise DatasetError(str(error)) from None
    return paths


def _inner_folders(folder: Path) -> list[Path]:
    """Folders in a folder that are no images themselves, and can be listed."""
    return [
        path for path in sorted(folder.iterdir()) if is_open_folder(path) and not is_image(path)
    ]


def _list_unused(folder: Path, split: str, settings: DatasetSettings) -> list[Unused]:
    """What lies in the folders of images and masks and is neither."""
    found = []
    images, masks = (
        split_folder(folder, split, pattern) for pattern in (settings.images, settings.masks)
    )
    for place in dict.fromkeys((images, masks)):
        several = settings.masks_per_image == "several" and place == masks
        home = several or place in (folder, folder / split)
        places = [place]
        if several:
            places += _inner_folders(place)
        for each in places:
            found += list_unused(each, list_images(each), folders_are_used=home and each == place)
    return found


def _by_stem(
    paths: Iterable[Path], suffix: str
) -> tuple[dict[str, Path], list[tuple[Path, Path]], list[Path]]:
    """Files by stem, those whose stem is taken, and those that end in something else."""
    found: dict[str, Path] = {}
    doubled, strangers = [], []
    for path in paths:
        stem = _strip_suffix(path, suffix)
        if stem is None:
            strangers.append(path)
        elif stem in found:
            doubled.append((found[stem], path))
        else:
            found[stem] = path
    return found, doubled, strangers


def _group(
    paths: Iterable[Path], suffix: str, images: Mapping[str, Path]
) -> tuple[dict[str, tuple[Path, ...]], list[Path]]:
    """Several masks by the stem of their image, and those that belong to none."""
    groups: dict[str, tuple[Path, ...]] = {}
    lonely = []
    for path in paths:
        owner = _owner(path, suffix, images)
        if owner is None:
            lonely.append(path)
        else:
            groups[owner] = (*groups.get(owner, ()), path)
    return groups, lonely


def _owner(path: Path, suffix: str, images: Mapping[str, Path]) -> str | None:
    """The image's stem that a mask's name begins with, followed by a separator; the longest."""
    if path.parent.name in images:
        return path.parent.name
    for length in range(len(path.stem), 0, -1):
        stem, rest = path.stem[:length], path.stem[length:]
        if stem in images and (not rest or rest[0] in _SEPARATORS):
            return stem if suffix.partition(".")[0] in rest else None
    return None


def describe_twin(path: Path, others: Iterable[Path]) -> str:
    """Name the file that a lonely one was probably meant to pair with; empty where there is none.

    Args:
        path: An image without mask, or a mask without image.
        others: Masks without image, or images without mask.
    """
    for other in others:
        difference = small_difference(stem_of(path), stem_of(other))
        if difference:
            return f"{other.name} differs {difference}"
    return ""


def _require_none(
    lonely: Sequence[Path],
    paired_count: int,
    kind: str,
    other: str,
    home: Path,
    suffix: str,
    partners: Sequence[Path],
) -> None:
    if not lonely:
        return
    twin = describe_twin(lonely[0], partners)
    if twin:
        raise DatasetError(
            f"{lonely[0]}: this {kind} has no {other}, but {home.name}/{twin}; give both one name"
        )
    names = ", ".join(path.name for path in lonely[:3]) + (", ..." if len(lonely) > 3 else "")
    first = lonely[0]
    ending = suffix if "." in suffix else suffix + first.suffix
    raise DatasetError(
        f"{first.parent}: {len(lonely)} of {paired_count + len(lonely)} {kind}s without {other}: "
        f"{names}; add {home / first.stem}{ending} and so on, or remove the {kind}s"
    )
