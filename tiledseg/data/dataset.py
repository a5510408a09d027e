"""A dataset on disk: images and masks paired by stem, split by source image, with a digest.

ROOT/NAME/{train,valid,test}/{images,masks}/STEM.EXT    ready splits
ROOT/NAME/train/{images,masks}/STEM.EXT                 missing splits are drawn from train
ROOT/NAME/{images,masks}/STEM.EXT                       all splits are drawn

Other names of folders and files, and other forms of masks, are declared in the settings.
"""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from tiledseg.config import DatasetSettings, SplitSettings
from tiledseg.config.messages import nearest
from tiledseg.data.beside import list_beside
from tiledseg.data.mask_encoding import digest_pair, encode_mask
from tiledseg.data.pairing import Sample, pair, split_folder
from tiledseg.data.split import SPLITS, draw_splits, group_reader, source_reader
from tiledseg.data.unfinished import require_finished
from tiledseg.errors import DatasetError
from tiledseg.images.unused import describe_unused

logger = logging.getLogger(__name__)

_THREADS = 2


@dataclass(frozen=True)
class Dataset:
    """Images and masks, paired and split.

    Attributes:
        name: Name of the dataset and of its folder.
        folder: Where it lies.
        splits: Samples of ``train``, ``valid`` and ``test``, each sorted by stem.
        digest: 32 hexadecimal digits of split names, stems and file bytes; the same wherever
            the files lie and whenever they were written.
        drawn: True where at least one split was drawn here instead of found on disk.
    """

    name: str
    folder: Path
    splits: Mapping[str, tuple[Sample, ...]]
    digest: str
    drawn: bool


def data_root() -> Path:
    """The folder that holds datasets: ``TILEDSEG_DATA``, or ``./data``."""
    return Path(os.environ.get("TILEDSEG_DATA") or "data")


def load_dataset(settings: DatasetSettings, root: Path) -> Dataset:
    """Find, pair and split a dataset; a synthetic one that is not there yet is drawn first.

    Nothing is decoded but masks of other forms, once; ``integrity.check_dataset`` does the rest.

    Args:
        settings: Name, synthetic drawing, names of files, form of masks, and split.
        root: The folder that holds datasets, usually ``data_root()``.

    Raises:
        DatasetError: A folder, image or mask is missing, doubled or too few to split, or a mask
            holds what is no class.
        ImageError: A file cannot be read.
        OutputError: A mask of another form cannot be written into the cache folder.
    """
    folder = root / settings.name
    draw_if_synthetic(settings, folder)
    require_folder(folder, root)
    beside = list_beside(folder, settings)
    if beside:
        logger.warning("%s: %s", folder, describe_unused(beside))
    found = {}
    for split, place in find_splits(folder, settings).items():
        samples = pair(folder, place, settings)
        with ThreadPoolExecutor(_THREADS) as pool:
            found[split] = tuple(pool.map(lambda sample: encode_mask(sample, settings), samples))
    splits, drawn = draw_missing_splits(found, settings.split, folder)
    return Dataset(settings.name, folder, splits, _digest(splits, settings), drawn=drawn)


def find_sample(settings: DatasetSettings, root: Path, split: str, stem: str) -> Sample:
    """Find one sample of a dataset; the others are listed, and neither read nor made.

    Args:
        settings: Name, names of files, form of masks, and split.
        root: The folder that holds datasets, usually ``data_root()``.
        split: ``train``, ``valid`` or ``test``.
        stem: Of the sample.

    Raises:
        DatasetError: The dataset or the sample is not there.
        ImageError: A mask cannot be read.
        OutputError: A mask of another form cannot be written into the cache folder.
    """
    folder = root / settings.name
    require_folder(folder, root)
    found = {
        each: pair(folder, place, settings) for each, place in find_splits(folder, settings).items()
    }
    splits, _ = draw_missing_splits(found, settings.split, folder)
    for sample in splits[split]:
        if sample.stem == stem:
            return encode_mask(sample, settings)
    raise DatasetError(
        f"{folder}: {split} holds no image {stem!r}; put it back, or point TILEDSEG_DATA to the "
        f"folder that holds {settings.name} with it"
    )


def draw_if_synthetic(settings: DatasetSettings, folder: Path) -> None:
    """Draw a synthetic dataset that is not there yet.

    Raises:
        OutputError: The folder cannot be written.
    """
    if settings.synthetic is not None and not folder.exists():
        from tiledseg.data.synthetic.dataset import write_synthetic_dataset  # noqa: PLC0415 - rarely needed

        write_synthetic_dataset(settings.synthetic, folder, progress=None)


def find_splits(folder: Path, settings: DatasetSettings) -> dict[str, str]:
    """The splits that have a folder, and its name; images without any count as train.

    Returns:
        Split to the name of its folder, which is empty where the dataset has none.

    Raises:
        DatasetError: There is nothing to train on.
    """
    last = "{split}" in settings.images
    present = [
        split
        for split in SPLITS
        if (split_folder(folder, split, settings.images) if last else folder / split).is_dir()
    ]
    if not present and not last and (folder / settings.images).is_dir():
        return {"train": ""}
    if "train" not in present:
        train = split_folder(Path(), "train", settings.images).as_posix()
        masks = split_folder(Path(), "train", settings.masks).as_posix()
        raise DatasetError(
            f"{folder}: neither {train} nor {settings.images} is there; lay it out as "
            f"{folder.name}/{train} and {folder.name}/{masks}, or write dataset.images and "
            f"dataset.masks into the experiment (tiledseg check {folder} --suggest says how)"
        )
    return {split: split for split in present}


def draw_missing_splits(
    found: Mapping[str, tuple[Sample, ...]], settings: SplitSettings, folder: Path
) -> tuple[dict[str, tuple[Sample, ...]], bool]:
    """Draw the splits that are missing from ``train``.

    Args:
        found: Samples of the splits that were found, ``train`` among them.
        settings: Fractions, seed and groups.
        folder: The dataset, named in errors.

    Returns:
        Samples of ``train``, ``valid`` and ``test``, and whether any split was drawn.

    Raises:
        DatasetError: There are fewer source images, or groups, than splits, or an image has no
            group.
    """
    missing = [split for split in SPLITS if split not in found]
    splits = dict(found)
    if missing:
        fractions = {"valid": settings.valid, "test": settings.test}
        by_stem = {sample.stem: sample for sample in found["train"]}
        wanted = {split: fractions[split] for split in missing}
        groups = group_reader(settings, folder)
        drawn = draw_splits(
            sorted(by_stem),
            wanted,
            settings.seed,
            folder,
            groups,
            origin_of=source_reader(settings),
        )
        splits |= {split: tuple(by_stem[stem] for stem in stems) for split, stems in drawn.items()}
    return {split: splits[split] for split in SPLITS}, bool(missing)


def require_folder(folder: Path, root: Path) -> None:
    """Raise DatasetError unless a dataset's folder is there and whole.

    The message offers near names, or the command that goes on with what is unfinished.
    """
    if folder.is_dir():
        require_finished(folder)
        return
    if not root.is_dir():
        raise DatasetError(
            f"the folder of datasets, {root}, does not exist; set TILEDSEG_DATA to the folder "
            f"that holds {folder.name}/"
        )
    known = sorted(path.name for path in root.iterdir() if path.is_dir())
    near = nearest(folder.name, known, most=3)
    names = near or known[:10] or ["nothing"]
    offer = f"{'nearest folders' if near else 'the data root holds'}: {', '.join(names)}"
    raise DatasetError(
        f"{folder} does not exist; {offer}; correct the name, or "
        "set TILEDSEG_DATA to the folder that holds it"
    )


def _digest(splits: Mapping[str, Sequence[Sample]], settings: DatasetSettings) -> str:
    def line(split: str, sample: Sample) -> bytes:
        return "\0".join((split, sample.stem, *digest_pair(sample, settings))).encode() + b"\n"

    digest = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(_THREADS) as pool:
        for split, samples in splits.items():
            for part in pool.map(line, repeat(split), samples):
                digest.update(part)
    return digest.hexdigest()
