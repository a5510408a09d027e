"""A dataset on disk: images and masks paired by stem, split by source image, with a digest.

ROOT/NAME/{train,valid,test}/{images,masks}/STEM.EXT    ready splits
ROOT/NAME/train/{images,masks}/STEM.EXT                 missing splits are drawn from train
ROOT/NAME/{images,masks}/STEM.EXT                       all splits are drawn

Other names of folders and files, and other forms of masks, are declared in the settings.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import repeat
from pathlib import Path

import numpy as np

from tiledseg.data.cache import PixelCache, content_hash
from tiledseg.data.images import read_mask_levels
from tiledseg.data.mask_forms import recipe_of, with_one_mask
from tiledseg.data.pairing import Sample, home_of, paired
from tiledseg.data.split import draw_splits, group_reader, source_reader
from tiledseg.errors import DatasetError
from tiledseg.experiment import Experiment
from tiledseg.settings import DatasetSettings, SplitSettings

__all__ = [
    "SPLITS",
    "Dataset",
    "DatasetSummary",
    "Sample",
    "SplitSummary",
    "check_dataset",
    "data_root",
    "load_dataset",
]

SPLITS = ("train", "valid", "test")
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


@dataclass(frozen=True)
class SplitSummary:
    """What one split holds.

    Attributes:
        images: Number of images.
        megapixels: Pixels of all images, in millions.
        foreground: Fraction of all pixels that is foreground.
    """

    images: int
    megapixels: float
    foreground: float


@dataclass(frozen=True)
class DatasetSummary:
    """What a dataset holds.

    Attributes:
        splits: One summary for each of ``train``, ``valid`` and ``test``.
    """

    splits: Mapping[str, SplitSummary]


def data_root() -> Path:
    """The folder that holds datasets: ``TILEDSEG_DATA``, or ``./data``."""
    return Path(os.environ.get("TILEDSEG_DATA") or "data")


def load_dataset(settings: DatasetSettings, root: Path) -> Dataset:
    """Find, pair and split a dataset; a synthetic one that is not there yet is drawn first.

    Nothing is decoded but masks of other forms, once; ``check_dataset`` does the rest.

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
    found = {}
    for split, place in found_splits(folder, settings).items():
        samples = paired(folder, place, settings)
        with ThreadPoolExecutor(_THREADS) as pool:
            found[split] = tuple(pool.map(lambda sample: with_one_mask(sample, settings), samples))
    splits, drawn = with_drawn_splits(found, settings.split, folder)
    return Dataset(settings.name, folder, splits, _digest(splits, settings), drawn=drawn)


def draw_if_synthetic(settings: DatasetSettings, folder: Path) -> None:
    """Draw a synthetic dataset that is not there yet.

    Raises:
        OutputError: The folder cannot be written.
    """
    if settings.synthetic is not None and not folder.exists():
        from tiledseg.data.synthetic import write_synthetic_dataset  # noqa: PLC0415 - rarely needed

        write_synthetic_dataset(settings.synthetic, folder, progress=None)


def found_splits(folder: Path, settings: DatasetSettings) -> dict[str, str]:
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
        if (home_of(folder, split, settings.images) if last else folder / split).is_dir()
    ]
    if not present and not last and (folder / settings.images).is_dir():
        return {"train": ""}
    if "train" not in present:
        train = home_of(Path(), "train", settings.images).as_posix()
        masks = home_of(Path(), "train", settings.masks).as_posix()
        raise DatasetError(
            f"{folder}: neither {train} nor {settings.images} is there; lay it out as "
            f"{folder.name}/{train} and {folder.name}/{masks}, or write dataset.images and "
            f"dataset.masks into the experiment (tiledseg check {folder} --suggest says how)"
        )
    return {split: split for split in present}


def with_drawn_splits(
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


def check_dataset(dataset: Dataset, experiment: Experiment, cache: PixelCache) -> DatasetSummary:
    """Decode every image and mask once and refuse what a training would trip over.

    Args:
        dataset: The dataset.
        experiment: How masks are read, and how images are shown to the network.
        cache: Where the decoded pixels stay, for training to find.

    Raises:
        DatasetError: An image and its mask differ in size, or no training mask has foreground.
        ImageError: A file cannot be read.
        OutputError: The cache cannot be written.
    """

    def measure(sample: Sample) -> tuple[int, int]:
        return _measure(sample, experiment, cache)

    summaries = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for split, samples in dataset.splits.items():
            counts = np.array(list(pool.map(measure, samples)), dtype=np.int64).sum(axis=0)
            pixels, foreground = int(counts[0]), int(counts[1])
            summaries[split] = SplitSummary(len(samples), pixels / 1e6, foreground / pixels)
            if split == "train" and foreground == 0:
                raise _no_foreground(samples, experiment.dataset.cut)
    return DatasetSummary(summaries)


def require_folder(folder: Path, root: Path) -> None:
    """Raise DatasetError unless a dataset's folder is there; the message offers near names."""
    if folder.is_dir():
        return
    if not root.is_dir():
        raise DatasetError(
            f"data root {root} does not exist; set TILEDSEG_DATA to the folder that holds "
            f"{folder.name}/"
        )
    known = sorted(path.name for path in root.iterdir() if path.is_dir())
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(folder.name.casefold(), by_folded, n=3, cutoff=0.5)
    names = [by_folded[match] for match in near] or known[:10] or ["nothing"]
    offer = f"{'nearest folders' if near else 'the data root holds'}: {', '.join(names)}"
    raise DatasetError(
        f"{folder} does not exist; {offer}; correct the name, or "
        "set TILEDSEG_DATA to the folder that holds it"
    )


def _digest(splits: Mapping[str, Sequence[Sample]], settings: DatasetSettings) -> str:
    def line(split: str, sample: Sample) -> bytes:
        mask = recipe_of(sample, settings) if sample.sources else content_hash(sample.mask)
        return "\0".join((split, sample.stem, content_hash(sample.image), mask)).encode() + b"\n"

    digest = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(_THREADS) as pool:
        for split, samples in splits.items():
            for part in pool.map(line, repeat(split), samples):
                digest.update(part)
    return digest.hexdigest()


def _measure(sample: Sample, experiment: Experiment, cache: PixelCache) -> tuple[int, int]:
    """Pixels and foreground pixels of one sample."""
    shape = cache.image(sample.image, experiment.image).shape[:2]
    mask = cache.mask(sample.mask, experiment.dataset.cut)
    if mask.shape != shape:
        raise DatasetError(f"{sample.mask_files[0]}: {size_fault(sample.image, shape, mask.shape)}")
    return mask.size, cache.foreground_pixels(sample.mask, experiment.dataset.cut)


def size_fault(image: Path, image_size: Sequence[int], mask_size: Sequence[int]) -> str:
    """What is said of a mask whose size is not its image's; fault and remedy.

    Args:
        image: The image.
        image_size: Height and width, in pixels.
        mask_size: Height and width, in pixels.
    """
    return (
        f"the mask is {mask_size[1]} x {mask_size[0]} pixels, but "
        f"{image} is {image_size[1]} x {image_size[0]} (width x height); export them at one size"
    )


def _no_foreground(samples: Sequence[Sample], threshold: int | None) -> DatasetError:
    if threshold is None:
        return DatasetError(
            f"{samples[0].mask_files[0].parent}: no mask of train has a class but the background; "
            "add masks with marked objects, or mend dataset.classes"
        )
    if samples[0].sources:
        return DatasetError(
            f"{samples[0].mask_files[0].parent}: no mask of train marks an object as "
            "dataset.mask_form and dataset.mask_values read it; mend them (tiledseg check shows "
            "what the masks hold), or add masks with marked objects"
        )
    brightest = max(int(read_mask_levels(sample.mask).max()) for sample in samples[:16])
    remedy = (
        f"set dataset.mask_threshold below {brightest}"
        if brightest
        else "they are all black; add masks with marked objects"
    )
    return DatasetError(
        f"{samples[0].mask_files[0].parent}: no mask of train has a pixel above {threshold} "
        f"(the brightest is {brightest}); {remedy}"
    )
