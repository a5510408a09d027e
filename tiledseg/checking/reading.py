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
from tiledseg.config.experiment import Experiment
from tiledseg.data.integrity import size_fault
from tiledseg.data.mask_encoding import encode_mask
from tiledseg.data.pairing import Sample
from tiledseg.errors import DatasetError, ImageError
from tiledseg.images.headers import Header
from tiledseg.images.reading import read_header, read_mask_brightness
from tiledseg.masks.classes import foreground

_THREADS = 2
Measured = tuple[ImageFacts | None, list[Finding]]


def read_samples(
    splits: Mapping[str, Sequence[Sample]],
    experiment: Experiment,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[ImageFacts], list[Finding]]:
    """Read and measure all samples, two at a time, keeping no pixels.

    Args:
        splits: Samples of each split.
        experiment: How images and masks are read.
        progress: Called after each sample with the number read and the number of all.

    Returns:
        What was measured, in order, and what stands against the others.
    """
    places = [(split, sample) for split, samples in splits.items() for sample in samples]
    facts: list[ImageFacts] = []
    findings: list[Finding] = []
    with _single_threaded_opencv(), ThreadPoolExecutor(_THREADS) as pool:
        results = pool.map(lambda place: _measure(place[0], place[1], experiment), places)
        for number, (measured, faults) in enumerate(results, start=1):
            facts.extend([measured] if measured is not None else [])
            findings.extend(faults)
            if progress is not None:
                progress(number, len(places))
    return facts, findings


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Turn off OpenCV's own threads, which wait for each other on small images."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _measure(split: str, sample: Sample, experiment: Experiment) -> Measured:
    settings = experiment.dataset
    header, brightness = _read_image_header(sample.image), _read_mask(sample, settings)
    if isinstance(header, Finding) or isinstance(brightness, Finding):
        return None, [found for found in (header, brightness) if isinstance(found, Finding)]
    if brightness.shape != header.shape:
        return None, [_judge_sizes(sample, header.shape, brightness.shape)]
    try:
        return measure_image(split, sample, header, brightness, experiment), []
    except ImageError as error:
        return None, [image_finding(sample.image, error)]


def _read_image_header(path: Path) -> Header | Finding:
    try:
        return read_header(path)
    except ImageError as error:
        return image_finding(path, error)


def _read_mask(sample: Sample, settings: DatasetSettings) -> NDArray[np.uint8] | Finding:
    place = sample.mask_files[0]
    try:
        return _read_brightness(encode_mask(sample, settings).mask, settings)
    except ImageError as error:
        broken = [path for path in sample.mask_files if str(error).startswith(f"{path}: ")]
        return image_finding((broken or [place])[0], error)
    except DatasetError as error:
        fault, _, remedy = str(error).partition("; ")
        fault = fault.removeprefix(f"{place}: ") if settings.holds_labels else fault
        rule = "mask-labels" if settings.holds_labels else "sizes-differ"
        return Finding("error", rule, place, fault, remedy, sample.mask_files[1:])


def _judge_sizes(sample: Sample, image: tuple[int, ...], mask: tuple[int, ...]) -> Finding:
    told = size_fault(Path(sample.image.name), image, mask)
    fault, _, remedy = told.partition("; ")
    if mask == image[::-1]:
        remedy = f"one of them is turned by a quarter: turn it back; {remedy}"
    return Finding("error", "sizes-differ", sample.mask_files[0], fault, remedy, (sample.image,))


def _read_brightness(mask: Path, settings: DatasetSettings) -> NDArray[np.uint8]:
    """The mask on the 8-bit scale; of labels, 255 where there is an object of any class."""
    brightness = read_mask_brightness(mask)
    return foreground(brightness) * np.uint8(255) if settings.holds_labels else brightness


def image_finding(path: Path, error: ImageError) -> Finding:
    """An error of reading as a finding; its message holds place and remedy already."""
    message, _, remedy = str(error).removeprefix(f"{path}: ").rpartition("; ")
    return Finding("error", "unreadable", path, message, remedy)
