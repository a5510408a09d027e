"""The whole check of a dataset: every file, every rule, every finding."""

from collections.abc import Callable
from pathlib import Path

from tiledseg.checking.finding import Finding, Report, sort_findings
from tiledseg.checking.image_rules import image_findings
from tiledseg.checking.inventory import take_inventory
from tiledseg.checking.mask_rules import mask_findings
from tiledseg.checking.near_duplicates import near_duplicate_findings
from tiledseg.checking.object_rules import object_findings
from tiledseg.checking.reading import read_samples
from tiledseg.checking.split_rules import split_findings
from tiledseg.config.experiment import Experiment


def check_folder(
    folder: Path,
    experiment: Experiment,
    *,
    halo: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check a dataset. Nothing is written, and nothing stops at the first fault.

    Args:
        folder: The dataset's folder, which exists.
        experiment: How masks are read, splits are drawn, and how large crops are.
        halo: Pixels that an output of the network sees on each side; None leaves receptive
            fields out.
        progress: Called after each image with the number read and the number of all.
    """
    inventory = take_inventory(folder, experiment.dataset)
    images, findings = read_samples(inventory.splits, experiment, progress)
    found: list[Finding] = [
        *inventory.findings,
        *findings,
        *split_findings(inventory.splits, experiment.dataset.split, folder),
        *mask_findings(images, experiment.dataset.foreground_threshold),
        *image_findings(images, experiment.image.size),
        *object_findings(images, experiment, halo, folder),
        *near_duplicate_findings(images),
    ]
    return Report(experiment.dataset.name, folder, inventory.drawn, images, sort_findings(found))
