"""A published dataset into the layout that tiledseg reads."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from tiledseg.config import SplitSettings
from tiledseg.data.prepare.cutting import Piece
from tiledseg.data.prepare.layout import Job, Progress, require_own_folder, write_layout
from tiledseg.data.prepare.windows import full_window
from tiledseg.data.published.archive import unpack
from tiledseg.data.published.catalog import NamedDataset, publication_folder
from tiledseg.data.published.download import download
from tiledseg.data.published.format import PublishedImage
from tiledseg.data.split import draw_splits
from tiledseg.errors import DatasetError


def fetch_published(dataset: NamedDataset, root: Path, progress: Progress | None = None) -> Path:
    """The publication's files on disk, fetched where that is possible, and unpacked.

    Args:
        dataset: One of the catalog's.
        root: The data root.
        progress: Called with bytes that are here and in all.

    Returns:
        The folder that holds them.

    Raises:
        DatasetError: They are had by hand alone and not there yet; the message names the page
            and the folder. Or they cannot be fetched, or the archive is unsound.
        OutputError: They cannot be written, or the dataset's own folder holds other files.
    """
    require_own_folder(root / dataset.name)
    home, publication = publication_folder(dataset, root), dataset.publication
    if publication.archive is not None:
        archive = home / publication.archive.name
        if not (home / publication.archive.root).is_dir() or archive.exists():
            download(publication.archive.url, archive, publication.archive.sha256, progress)
    if not home.is_dir() or not any(home.iterdir()):
        raise DatasetError(
            f"{publication.name} is not on disk: get {publication.files} from {publication.page}, "
            f"put it into {home.resolve()}, as an archive or unpacked, and give this command again"
        )
    return home


def convert_published(
    dataset: NamedDataset,
    given: Path,
    root: Path,
    progress: Progress | None = None,
    split: SplitSettings | None = None,
    command: str = "",
) -> pd.DataFrame:
    """Write ROOT/NAME from a publication's files; broken off, the same call goes on.

    Args:
        dataset: One of the catalog's.
        given: The publication's folder or ZIP archive; archives in a folder are unpacked there.
        root: The data root.
        progress: Called with images done and in all.
        split: Shares and seed of the splits that the authors did not draw.
        command: What the user may call to go on with it.

    Returns:
        The manifest; see ``write_layout``.

    Raises:
        DatasetError: The files are of another form, or incomplete.
        ImageError: An image cannot be read.
        OutputError: The folder holds something else, cannot be written, or another process
            writes it.
    """
    folder = _unpack_archives(given)
    images = dataset.find(folder)
    _require_unique(images, folder)
    split = split or SplitSettings()
    splits = _splits_of(images, split, folder)
    spec = {
        "published": dataset.publication.name,
        "images": len(images),
        "split": split.model_dump(mode="json"),
    }
    jobs = [_job(image, splits[image.group]) for image in images]
    return write_layout(root / dataset.name, spec, jobs, progress, command=command)


def _unpack_archives(given: Path) -> Path:
    if given.is_file():
        return unpack(given, given.with_suffix(""))
    if not given.is_dir():
        raise DatasetError(f"{given} does not exist; give the folder or ZIP archive of the files")
    for archive in sorted(given.glob("*.[zZ][iI][pP]")):
        unpack(archive, archive.with_suffix(""))
    return given


def _require_unique(images: Sequence[PublishedImage], folder: Path) -> None:
    seen = set()
    for image in images:
        if image.name in seen:
            raise DatasetError(
                f"{folder}: holds {image.name} twice, perhaps unpacked twice; give the folder "
                "that holds it once"
            )
        seen.add(image.name)


def _splits_of(
    images: Sequence[PublishedImage], settings: SplitSettings, folder: Path
) -> Mapping[str, str]:
    """The split of each group: the authors' where they drew it, and never two for one group."""
    given: dict[str, set[str]] = {}
    for image in images:
        given.setdefault(image.group, set()).add(image.split)
    fixed = {group: min(splits) for group, splits in given.items() if len(splits) == 1}
    shares = {"valid": settings.valid, "test": settings.test}
    taken = {split for split in fixed.values() if split}
    missing = {split: share for split, share in shares.items() if split not in taken}
    free = [group for group in given if fixed.get(group, "") in ("", "train")]
    if not missing:
        return {group: fixed.get(group) or "train" for group in given}
    drawn = draw_splits(free, missing, settings.seed, folder)
    homes = {group: split for split, groups in drawn.items() for group in groups}
    return {group: homes.get(group) or fixed[group] for group in given}


def _job(image: PublishedImage, split: str) -> Job:
    def pieces() -> Iterator[Piece]:
        for stem, pixels, mask in image.read():
            if mask.shape != pixels.shape[:2]:
                raise DatasetError(
                    f"{image.name}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels, but the "
                    f"image is {pixels.shape[1]} x {pixels.shape[0]}; unpack the archive again"
                )
            window = full_window((mask.shape[0], mask.shape[1]))
            yield Piece(split, stem, image.group, "whole", window, 1.0, 0, pixels, mask)

    return Job(image.name, pieces)
