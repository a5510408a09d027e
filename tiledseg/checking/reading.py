"""Reading and measuring every sample; what cannot be read, or does not fit, is a finding."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tiledseg.checking.facts import ImageFacts, measure_image
from tiledseg.checking.finding import Finding
from tiledseg.config import DatasetSettings
from tiledseg.data.integrity import size_fault
from tiledseg.data.mask_encoding import with_one_mask
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError, ImageError
from tiledseg.images.reading import image_shape, read_mask_levels
from tiledseg.masks.classes import foreground

_THREADS = 2
Measured = tuple[ImageFacts | None, list[Finding]]


def read_samples(
    splits: Mapping[str, Sequence[Sample]],
    settings: DatasetSettings,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[ImageFacts], list[Finding]]:
    """Read and measure all samples, two at a time, keeping no pixels.

    Args:
        splits: Samples of each split.
        settings: How masks are read.
        progress: Called after each sample with the number read and the number of all.

    Returns:
        What was measured, in order, and what stands against the others.
    """
    places = [(split, sample) for split, samples in splits.items() for sample in samples]
    facts: list[ImageFacts] = []
    findings: list[Finding] = []
    with _one_thread_each(), ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(lambda place: _measure(place[0], place[1], settings), places)
        for number, (measured, faults) in enumerate(results, start=1):
            facts.extend([measured] if measured is not None else [])
            findings.extend(faults)
            if progress is not None:
                progress(number, len(places))
    return facts, findings


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """OpenCV's own threads wait for each other on small images: three times as slow."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _measure(split: str, sample: Sample, settings: DatasetSettings) -> Measured:
    faults, place = list(_unreadable([sample.image])), sample.mask_files[0]
    try:
        levels = _levels(with_one_mask(sample, settings).mask, settings)
    except ImageError as error:
        broken = [path for path in sample.mask_files if str(error).startswith(f"{path}: ")]
        return None, [*faults, image_finding((broken or [place])[0], error)]
    except DatasetError as error:
        fault, _, remedy = str(error).partition("; ")
        fault = fault.removeprefix(f"{place}: ") if settings.holds_labels else fault
        rule = "mask-labels" if settings.holds_labels else "sizes-differ"
        finding = Finding("error", rule, place, fault, remedy, sample.mask_files[1:])
        return None, [*faults, finding]
    if faults:
        return None, faults
    shape = image_shape(sample.image)
    if levels.shape != shape:
        fault, _, remedy = size_fault(Path(sample.image.name), shape, levels.shape).partition("; ")
        if levels.shape == shape[::-1]:
            remedy = f"one of them is turned by a quarter: turn it back; {remedy}"
        finding = Finding("error", "sizes-differ", place, fault, remedy, (sample.image,))
        return None, [finding]
    try:
        measured = measure_image(
            split, sample.stem, sample.image, sample.mask_files, levels, settings.mask_threshold
        )
    except ImageError as error:
        return None, [image_finding(sample.image, error)]
    return measured, []


def _levels(mask: Path, settings: DatasetSettings) -> NDArray[np.uint8]:
    """The mask on the 8-bit scale; of labels, 255 where there is an object of any class."""
    levels = read_mask_levels(mask)
    return foreground(levels) * np.uint8(255) if settings.holds_labels else levels


def _unreadable(paths: Sequence[Path]) -> Iterator[Finding]:
    for path in paths:
        try:
            image_shape(path)
        except ImageError as error:
            yield image_finding(path, error)


def image_finding(path: Path, error: ImageError) -> Finding:
    """An error of reading as a finding; its message holds place and remedy already."""
    message, _, remedy = str(error).removeprefix(f"{path}: ").rpartition("; ")
    return Finding("error", "unreadable", path, message, remedy)
