"""What a run was made with: packages, machine, arithmetic and data; for its code see ``revision``.

The machine's name and its folders are nobody's business and stay out.
"""

import importlib.metadata
import json
import platform
from collections.abc import Mapping

import keras
import pandas as pd

from tiledseg.backend import (
    count_threads,
    describe_devices,
    describe_processor,
)
from tiledseg.config import DatasetSettings
from tiledseg.data.dataset import Dataset
from tiledseg.data.mask_encoding import digest_pair
from tiledseg.tracking.names import (
    ARITHMETIC_TAG,
    DEVICES_TAG,
    DIRTY_TAG,
    PROCESSOR_TAG,
    REVISION_TAG,
    THREADS_TAG,
    VERSIONS_TAG,
)

_PACKAGES = (
    "tiledseg", "tensorflow", "jax", "keras", "numpy", "scipy", "opencv-python-headless", "pillow",
    "tifffile", "imagecodecs", "simplejpeg", "zarr",
)  # fmt: skip
"""Those that the numbers come from."""


def describe_environment(arithmetic: str) -> dict[str, str]:
    """Versions, machine and arithmetic of this process, as tags of a run.

    Args:
        arithmetic: Of training, in words.
    """
    backend = keras.config.backend()
    unused = {"jax"} if backend == "tensorflow" else {"tensorflow"}
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        if name not in unused:
            versions[name] = read_version(name)
    return {
        VERSIONS_TAG: json.dumps(versions),
        DEVICES_TAG: describe_devices(),
        PROCESSOR_TAG: describe_processor(),
        THREADS_TAG: str(count_threads()),
        ARITHMETIC_TAG: f"{backend}, {arithmetic}",
    }


def digest_files(dataset: Dataset, settings: DatasetSettings) -> pd.DataFrame:
    """Digests of a dataset's pairs.

    Args:
        dataset: Its files were just hashed for its own digest, and are not read again.
        settings: How its masks are read.

    Returns:
        One row per pair: split, stem, image, mask; both digests of 32 hexadecimal digits.

    Raises:
        ImageError: A file cannot be read.
    """
    rows = [
        (split, sample.stem, *digest_pair(sample, settings))
        for split, samples in dataset.splits.items()
        for sample in samples
    ]
    return pd.DataFrame(rows, columns=["split", "stem", "image", "mask"])


def compare_environments(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """What two runs were made with differs in, by their tags; one line each."""
    lines = []
    labels = {
        DEVICES_TAG: "devices",
        PROCESSOR_TAG: "processor",
        THREADS_TAG: "threads",
        ARITHMETIC_TAG: "arithmetic",
        REVISION_TAG: "code revision",
        DIRTY_TAG: "changes of the code since its revision",
    }
    for tag, label in labels.items():
        before, after = first.get(tag, "unknown"), second.get(tag, "unknown")
        if before != after:
            lines.append(f"{label}: {before} -> {after}")
    old, new = (json.loads(tags.get(VERSIONS_TAG, "{}")) for tags in (first, second))
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, "none"), new.get(name, "none")
        if before != after:
            lines.append(f"version of {name}: {before} -> {after}")
    return lines


def read_version(name: str) -> str:
    """The version of an installed package, or ``none``."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
