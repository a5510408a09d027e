"""Masks of checkpoints on disk: made once by the tiled engine, then found by their digest.

An entry is a folder with the masks of one network for one validation image. It is named by a
digest of what it was made from, and there as a whole or not at all.
"""

import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import tiledseg
from dashboards.checkpoints.validation_images import (
    SPLIT,
    digests_of,
    experiment_of,
    find_image,
)
from dashboards.masks import read_labels
from dashboards.segmentation import Report, segment
from dashboards.store import picture_size
from dashboards.uploads import MOST_PIXELS
from tiledseg.config.regular_files import read_json
from tiledseg.data.cache import default_cache_folder
from tiledseg.data.disk_quota import free_space, remove_abandoned
from tiledseg.errors import DatasetError, ImageError, OutputError, RegistryError
from tiledseg.evaluation.scores import label_scores, summarize_scores
from tiledseg.images.atomic import give_names
from tiledseg.images.place_lock import take_turn
from tiledseg.images.writing import write_target
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.names import SPEED, name_figures

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Mode

MODES: tuple["Mode", ...] = ("tiled", "resized")
TARGET = "target"
MOST_BYTES = 4 * 2**30
"""Of all entries; beyond it, those that were opened the longest ago are removed."""
_RECORD = "record.json"


@dataclass(frozen=True)
class Network:
    """A network in the store.

    Attributes:
        uri: What it is loaded by.
        model_id: Its logged model, whose weights never change.
        threshold: What it is used with, which is chosen after its training.
    """

    uri: str
    model_id: str
    threshold: float

    @property
    def digest(self) -> str:
        """Changes with everything that its masks come from."""
        text = f"{self.model_id}|{self.threshold!r}|{tiledseg.__version__}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class StoredMasks:
    """What a network made of one image.

    Attributes:
        folder: Holds the files.
        scores: Mode to score to value, as ``evaluation.scores`` has them; NaN where undefined.
        seams: Rows and columns at which tiles met.
    """

    folder: Path
    scores: Mapping[str, Mapping[str, float]]
    seams: Mapping[str, Sequence[int]]

    def path(self, layer: str) -> Path:
        """The file of a mode, or of ``TARGET``."""
        return self.folder / f"{layer}.png"


def find_masks(network: Network, run_id: str, stem: str) -> StoredMasks | None:
    """The masks of a validation image, if they have been made."""
    folder = _place(network, run_id, stem)
    try:
        record = read_json(folder / _RECORD)
    except (OSError, ValueError):
        return None
    with suppress(OSError):  # the cache may be read-only
        os.utime(folder)
    return StoredMasks(folder, record["scores"], record["seams"])


def score_network(network: Network, run_id: str) -> ValidationScore | None:
    """The score over all validation images of a run; None unless all of them have masks."""
    stems = digests_of(run_id)
    found = [masks for stem in stems if (masks := find_masks(network, run_id, stem)) is not None]
    if not found or len(found) < len(stems):
        return None
    place = {"split": SPLIT, "mode": MODES[0], SPEED: math.nan}
    table = pd.DataFrame([{**place, **masks.scores[MODES[0]]} for masks in found])
    classes = experiment_of(run_id).class_names
    return ValidationScore.from_metrics(name_figures(summarize_scores(table, classes)), classes)


def make_masks(network: Network, run_id: str, stems: Sequence[str], report: Report) -> None:
    """Segment validation images of a run, tiled and non-tiled, and score them.

    Args:
        network: What segments.
        run_id: The run whose images they are.
        stems: Those that have masks already are passed over.
        report: Told how far it is. What it raises ends the work; what is made stays.

    Raises:
        TiledsegError: The network cannot be loaded, or an image is not at hand or does not suit it.
    """
    for number, stem in enumerate(stems):
        if find_masks(network, run_id, stem) is None:
            _make_entry(network, run_id, stem, partial(_report, report, stem, number, len(stems)))


def _report(report: Report, stem: str, number: int, count: int, share: float, words: str) -> None:
    of = f" ({number + 1} of {count})" if count > 1 else ""
    report((number + share) / count, f"{stem}{of}: {words}")


def _make_entry(network: Network, run_id: str, stem: str, report: Report) -> None:
    found = find_image(run_id, stem)
    _refuse_large(found.image, run_id)
    folder = _place(network, run_id, stem)
    draft = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        done = segment(
            network.uri, found.image, MODES, folder=draft, content=network.digest, report=report
        )
        if done.threshold != network.threshold:
            raise RegistryError(
                f"{network.uri} has got the threshold {done.threshold} just now, in place of "
                f"{network.threshold}; load the page again"
            )
        classes = experiment_of(run_id).class_names
        if done.labels != classes:
            raise DatasetError(
                f"{network.uri} knows the classes {', '.join(done.labels)}, and the masks of this "
                f"run hold {', '.join(classes)}; they cannot be compared"
            )
        target = found.read_target()
        write_target(draft / f"{TARGET}.png", target, len(classes))
        scores = {
            mode: label_scores(target, read_labels(path), classes)
            for mode, path in done.masks.items()
        }
        record = json.dumps({"scores": scores, "seams": done.seams})
        (draft / _RECORD).write_text(record, encoding="utf-8")
        with take_turn(folder):
            if not folder.exists():  # else another process was quicker
                give_names([(draft, folder)], lasting=False)
    except OSError as error:
        raise OutputError(
            f"{draft}: cannot be written ({error.strerror}); point TILEDSEG_CACHE at a folder "
            "that can be written and has room"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _free_space(folder)


def _refuse_large(image: Path, run_id: str) -> None:
    size = picture_size(image)
    if size.height * size.width > MOST_PIXELS:
        raise ImageError(
            f"{image.name}: is {size.width} x {size.height} pixels; at most "
            f"{MOST_PIXELS / 1e6:.0f} million are segmented here. Use "
            f"`tiledseg predict --model runs:/{run_id}@epoch=N`"
        )


def _place(network: Network, run_id: str, stem: str) -> Path:
    text = f"{network.digest}|{run_id}|{stem}"
    return _home() / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _home() -> Path:
    return default_cache_folder() / "checkpoints"


def _free_space(keep: Path) -> None:
    folders = list(_home().iterdir())
    remove_abandoned(folder for folder in folders if folder.name.startswith("."))
    entries = (folder for folder in folders if not folder.name.startswith("."))
    free_space(entries, MOST_BYTES, keep=keep)
