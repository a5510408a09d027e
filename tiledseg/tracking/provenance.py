"""What a run was made with: code, packages, machine, arithmetic and data.

The machine's name and its folders are nobody's business and stay out.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import pandas as pd

from tiledseg.backend import (
    compiles_by_xla,
    count_threads,
    describe_devices,
    describe_processor,
)
from tiledseg.config import DatasetSettings
from tiledseg.data.dataset import Dataset
from tiledseg.data.mask_encoding import digest_masks
from tiledseg.images.hashing import hash_content
from tiledseg.tracking.names import (
    ARITHMETIC_TAG,
    DEVICES_TAG,
    DIRTY_TAG,
    PROCESSOR_TAG,
    REVISION_TAG,
    THREADS_TAG,
    VERSIONS_TAG,
)

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the code that runs: tiledseg itself."""
_PACKAGES = (
    "tiledseg", "tensorflow", "jax", "keras", "numpy", "scipy", "opencv-python-headless", "pillow",
    "tifffile", "imagecodecs", "simplejpeg", "zarr",
)  # fmt: skip
"""Those that the numbers come from."""
_GIT_SECONDS = 20.0
_DIFF = (
    "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--binary",
    "--unified=3", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Whatever the user's settings are, the same changes give the same text."""


@dataclass(frozen=True)
class Code:
    """The code that runs.

    Attributes:
        revision: Its commit, 40 or 64 hexadecimal digits; empty where it does not lie in a git
            checkout, or git is not there.
        diff: How the package's files differ from the revision, new ones included; empty where
            they do not.
    """

    revision: str = ""
    diff: str = ""

    def tags(self) -> dict[str, str]:
        """As tags of a run; none where nothing is known."""
        if not self.revision:
            return {}
        return {REVISION_TAG: self.revision, DIRTY_TAG: str(bool(self.diff)).lower()}

    def __str__(self) -> str:
        if not self.revision:
            return "code outside of git"
        changed = hashlib.blake2b(self.diff.encode(), digest_size=4).hexdigest()
        return f"revision {self.revision}" + (f" with changes ({changed})" if self.diff else "")


def read_code(package: Path = PACKAGE) -> Code:
    """Ask git about the code that runs; never fails.

    Args:
        package: The folder of the code, at the top of a checkout. Another project's checkout
            that happens to hold an installed package says nothing about it.
    """
    top, name = package.parent, package.name
    try:
        if Path(_ask_git(top, "rev-parse", "--show-toplevel").strip()).resolve() != top:
            return Code()
        revision = _ask_git(top, "rev-parse", "--verify", "HEAD").strip()
        diff = _ask_git(top, *_DIFF, "HEAD", "--", name)
        new = _ask_git(top, "ls-files", "-z", "--others", "--exclude-standard", "--", name)
        for file in filter(None, new.split("\0")):
            diff += _ask_git(top, *_DIFF, "--no-index", "--", os.devnull, file, expected=(0, 1))
    except (OSError, subprocess.SubprocessError):
        return Code()
    return Code(revision, diff)


def describe_environment(precision: str) -> dict[str, str]:
    """Versions, machine and arithmetic of this process, as tags of a run.

    Args:
        precision: Of training, already decided.
    """
    backend = keras.config.backend()
    unused = {"jax"} if backend == "tensorflow" else {"tensorflow"}
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        if name not in unused:
            versions[name] = _read_version(name)
    compiled = ", XLA" if compiles_by_xla(precision) else ""
    return {
        VERSIONS_TAG: json.dumps(versions),
        DEVICES_TAG: describe_devices(),
        PROCESSOR_TAG: describe_processor(),
        THREADS_TAG: str(count_threads()),
        ARITHMETIC_TAG: f"{backend}, {precision}{compiled}",
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
        {
            "split": split,
            "stem": sample.stem,
            "image": hash_content(sample.image),
            "mask": digest_masks(sample, settings) if sample.sources else hash_content(sample.mask),
        }
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


def _ask_git(folder: Path, *words: str, expected: tuple[int, ...] = (0,)) -> str:
    """What git says of a folder, whatever the user's variables point it to."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_GIT_SECONDS,
        check=False,
    )
    if done.returncode not in expected:
        raise subprocess.CalledProcessError(done.returncode, command)
    return done.stdout.decode(errors="replace")


def _read_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
