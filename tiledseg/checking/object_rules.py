"""Rules for objects: their sizes against crop, receptive field and reduction; their share."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tiledseg.checking.facts import ImageFacts
from tiledseg.checking.finding import Finding
from tiledseg.config.experiment import Experiment

_LEAST_SIDE = 4
"""Pixels that an object must keep after the network's reduction."""
_RARE = 0.001
_SHIFT = 5.0


def object_findings(
    images: Sequence[ImageFacts], experiment: Experiment, halo: int | None, folder: Path
) -> Iterator[Finding]:
    """Judge objects by their size, and by how much of the images they cover.

    Args:
        images: What was measured.
        experiment: Size of crops and the network's reduction.
        halo: Pixels that an output of the network sees on each side; None: unknown.
        folder: The dataset, which these findings are about.
    """
    sides = np.concatenate([np.empty(0, np.int64), *(facts.mask.sides for facts in images)])
    if len(sides):
        yield from _of_sizes(sides, experiment, halo, folder)
    yield from _of_coverage(images, folder)


def _of_sizes(
    sides: np.ndarray, experiment: Experiment, halo: int | None, folder: Path
) -> Iterator[Finding]:
    typical, large = float(np.median(sides)), float(np.percentile(sides, 95))
    size, reduction = experiment.image.size, experiment.model.reduction
    if large > size:
        yield Finding(
            "warning",
            "objects-exceed-crop",
            folder,
            f"one object in twenty is more than {large:.0f} pixels long, but training crops are "
            f"{size} x {size}: it is never seen whole",
            f"raise image.size towards {large:.0f}, or reduce the images",
        )
    if halo is not None and large > 2 * halo + 1:
        yield Finding(
            "warning",
            "objects-exceed-field",
            folder,
            f"one object in twenty is more than {large:.0f} pixels long, but an output pixel "
            f"sees {2 * halo + 1} x {2 * halo + 1}: the inside of a large one may look like ground",
            "raise model.num_layers, model.dilation or model.reduction",
        )
    if typical < _LEAST_SIDE * reduction:
        yield Finding(
            "warning",
            "objects-too-small",
            folder,
            f"the typical object is {typical:.0f} pixels long: {typical / reduction:.1f} after "
            f"model.reduction {reduction}",
            "lower model.reduction" if reduction > 1 else "enlarge the images",
        )


def _of_coverage(images: Sequence[ImageFacts], folder: Path) -> Iterator[Finding]:
    covered = {
        split: float(np.mean([facts.mask.foreground for facts in images if facts.split == split]))
        for split in dict.fromkeys(facts.split for facts in images)
    }
    train = covered.get("train", 0.0)
    if 0 < train < _RARE:
        yield Finding(
            "warning",
            "foreground-rare",
            folder,
            f"{train:.3%} of the training images is foreground",
            "raise training.foreground_fraction, or cut the images around their objects",
        )
    for split, share in covered.items():
        if split == "train" or not share or not train:
            continue
        if max(share / train, train / share) > _SHIFT:
            yield Finding(
                "warning",
                "foreground-shifts",
                folder,
                f"{split} is {share:.2%} foreground, train {train:.2%}: they show different things",
                "divide the images anew, at random by source image",
            )
