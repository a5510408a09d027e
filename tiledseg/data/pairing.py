"""Images and their masks, paired by the stem of their names and never by position."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiledseg.data.images import IMAGE_SUFFIXES, list_images
from tiledseg.errors import DatasetError, ImageError


@dataclass(frozen=True)
class Sample:
    """One image and its mask.

    Attributes:
        stem: Name shared by both files, without suffix.
        image: The image file.
        mask: The mask file.
    """

    stem: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class Pairing:
    """What two folders hold, sound or not.

    Attributes:
        samples: Those that have both, sorted by stem.
        lonely_images: Images without mask.
        lonely_masks: Masks without image.
        doubled: Files of a stem that an earlier file in the same folder has, after it.
        homes: The folder of the images and that of the masks.
    """

    samples: tuple[Sample, ...]
    lonely_images: tuple[Path, ...]
    lonely_masks: tuple[Path, ...]
    doubled: tuple[tuple[Path, Path], ...]
    homes: tuple[Path, Path]


def match_files(folder: Path) -> Pairing:
    """Match the files of ``folder/images`` with those of ``folder/masks`` by stem.

    Raises:
        DatasetError: A folder is missing or cannot be listed.
    """
    homes = folder / "images", folder / "masks"
    (images, twins), (masks, mask_twins) = _by_stem(homes[0]), _by_stem(homes[1])
    return Pairing(
        samples=tuple(
            Sample(stem, images[stem], masks[stem]) for stem in sorted(images) if stem in masks
        ),
        lonely_images=tuple(images[stem] for stem in sorted(images) if stem not in masks),
        lonely_masks=tuple(masks[stem] for stem in sorted(masks) if stem not in images),
        doubled=(*twins, *mask_twins),
        homes=homes,
    )


def paired(folder: Path) -> tuple[Sample, ...]:
    """Pair the files of ``folder/images`` with those of ``folder/masks`` by stem.

    Returns:
        One sample per stem, sorted by stem; at least one.

    Raises:
        DatasetError: A folder is missing or empty, a stem is there twice, or an image or mask
            is without partner.
    """
    found = match_files(folder)
    for first, second in found.doubled:
        raise DatasetError(f"{first} and {second.name} have the same stem; rename or remove one")
    count = len(found.samples)
    if not count and not found.lonely_images and not found.lonely_masks:
        raise DatasetError(f"{found.homes[0]} {no_images_fault()}")
    images, masks = found.homes
    _require_none(found.lonely_images, count, "image", "mask", masks)
    _require_none(found.lonely_masks, count, "mask", "image", images)
    return found.samples


def no_images_fault() -> str:
    """What is said of a folder without images, after its name."""
    return f"holds no images; add some ({', '.join(IMAGE_SUFFIXES)})"


def _by_stem(folder: Path) -> tuple[Mapping[str, Path], list[tuple[Path, Path]]]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} does not exist; add it, with one file per stem")
    try:
        paths = list_images(folder)
    except ImageError as error:
        raise DatasetError(str(error)) from None
    found: dict[str, Path] = {}
    doubled = []
    for path in paths:
        if path.stem in found:
            doubled.append((found[path.stem], path))
        else:
            found[path.stem] = path
    return found, doubled


def _require_none(
    lonely: tuple[Path, ...], paired_count: int, kind: str, other: str, home: Path
) -> None:
    if lonely:
        names = ", ".join(path.name for path in lonely[:3]) + (", ..." if len(lonely) > 3 else "")
        count = paired_count + len(lonely)
        raise DatasetError(
            f"{lonely[0].parent}: {len(lonely)} of {count} {kind}s without {other}: {names}; "
            f"add {home / lonely[0].stem}{lonely[0].suffix} and so on, or remove the {kind}s"
        )
