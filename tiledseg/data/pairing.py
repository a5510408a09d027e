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


def paired(folder: Path) -> tuple[Sample, ...]:
    """Pair the files of ``folder/images`` with those of ``folder/masks`` by stem.

    Returns:
        One sample per stem, sorted by stem; at least one.

    Raises:
        DatasetError: A folder is missing or empty, a stem is there twice, or an image or mask
            is without partner.
    """
    images, masks = _by_stem(folder / "images"), _by_stem(folder / "masks")
    if not images and not masks:
        raise DatasetError(
            f"{folder / 'images'} holds no images; add some ({', '.join(IMAGE_SUFFIXES)})"
        )
    _require_partners(images, masks, "image", "mask", folder / "masks")
    _require_partners(masks, images, "mask", "image", folder / "images")
    return tuple(Sample(stem, images[stem], masks[stem]) for stem in sorted(images))


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} does not exist; add it, with one file per stem")
    try:
        paths = list_images(folder)
    except ImageError as error:
        raise DatasetError(str(error)) from None
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise DatasetError(
                f"{found[path.stem]} and {path.name} have the same stem; rename or remove one"
            )
        found[path.stem] = path
    return found


def _require_partners(
    files: Mapping[str, Path], partners: Mapping[str, Path], kind: str, other: str, home: Path
) -> None:
    lonely = [files[stem] for stem in sorted(files) if stem not in partners]
    if lonely:
        names = ", ".join(path.name for path in lonely[:3]) + (", ..." if len(lonely) > 3 else "")
        raise DatasetError(
            f"{lonely[0].parent}: {len(lonely)} of {len(files)} {kind}s without {other}: {names}; "
            f"add {home / lonely[0].stem}{lonely[0].suffix} and so on, or remove the {kind}s"
        )
