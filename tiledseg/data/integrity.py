"""Checks before training: every image and mask is decoded once, and faults are refused."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError
from tiledseg.images.bit_depth import bits_remedy, unused_bits_fault
from tiledseg.images.reading import read_mask_brightness
from tiledseg.masks.classes import count_values

logger = logging.getLogger(__name__)

_THREADS = 2


@dataclass(frozen=True)
class ValueRange:
    """What an image uses of the range of its values.

    Attributes:
        path: The file.
        largest: Its largest value as stored.
        bits: Bits of a value.
    """

    path: Path
    largest: int
    bits: int


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


def check_dataset(dataset: Dataset, experiment: Experiment, cache: PixelCache) -> DatasetSummary:
    """Decode every image and mask once, and refuse what training cannot use.

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
    ranges: list[ValueRange] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for split, samples in dataset.splits.items():
            counts = np.array(list(pool.map(measure, samples)), dtype=np.int64).sum(axis=0)
            ranges += [
                ValueRange(sample.image, *cache.value_range(sample.image, experiment.image))
                for sample in samples
            ]
            pixels, foreground = int(counts[0]), int(counts[1])
            summaries[split] = SplitSummary(len(samples), pixels / 1e6, foreground / pixels)
            if split == "train" and foreground == 0:
                raise _no_foreground(samples, experiment.dataset.foreground_threshold)
    warn_of_unused_bits(ranges)
    return DatasetSummary(summaries)


def find_classes(samples: Sequence[Sample], experiment: Experiment, cache: PixelCache) -> list[str]:
    """Names of the classes that the masks of some samples have, the background among them.

    Args:
        samples: Which.
        experiment: How masks are read, and how the labels are called.
        cache: Decoded masks.

    Raises:
        ImageError: A file cannot be read.
        OutputError: The cache cannot be written.
    """
    names = experiment.class_names
    counts = np.zeros(256, np.int64)
    for sample in samples:
        counts += count_values(cache.mask(sample.mask, experiment.dataset.foreground_threshold))
        if counts[: len(names)].all():
            break
    return [name for name, count in zip(names, counts, strict=False) if count]


def warn_of_unused_bits(images: Sequence[ValueRange]) -> None:
    """Log one line where images use a fraction of their range, as dark ones do.

    Args:
        images: What of its range each uses.
    """
    faults = [(image, unused_bits_fault(image.largest, image.bits)) for image in images]
    found = [(image, fault) for image, fault in faults if fault is not None]
    if found:
        image, fault = max(found, key=lambda each: each[0].largest)
        logger.warning(
            "%d of %d images use a fraction of their range, as %s: it %s; %s",
            len(found), len(images), image.path, fault, bits_remedy(image.largest, image.bits),
        )  # fmt: skip


def _measure(sample: Sample, experiment: Experiment, cache: PixelCache) -> tuple[int, int]:
    """Pixels and foreground pixels of one sample."""
    shape = cache.image(sample.image, experiment.image).shape[:2]
    mask = cache.mask(sample.mask, experiment.dataset.foreground_threshold)
    if mask.shape != shape:
        raise DatasetError(f"{sample.mask_files[0]}: {size_fault(sample.image, shape, mask.shape)}")
    return mask.size, cache.foreground_pixels(sample.mask, experiment.dataset.foreground_threshold)


def size_fault(image: Path, image_size: Sequence[int], mask_size: Sequence[int]) -> str:
    """Message for a mask whose size is not its image's: fault and remedy.

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
    brightest = max(int(read_mask_brightness(sample.mask).max()) for sample in samples[:16])
    remedy = (
        f"set dataset.mask_threshold below {brightest}"
        if brightest
        else "they are all black; add masks with marked objects"
    )
    return DatasetError(
        f"{samples[0].mask_files[0].parent}: no mask of train has a pixel above {threshold} "
        f"(the brightest is {brightest}); {remedy}"
    )
