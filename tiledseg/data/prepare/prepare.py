"""A dataset cut into another: its images in, pieces, manifest and statistics out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from tiledseg.config.experiment import Experiment
from tiledseg.config.messages import explain
from tiledseg.data.dataset import load_dataset
from tiledseg.data.pairing import Sample
from tiledseg.data.prepare.cutting import Piece, pieces_of
from tiledseg.data.prepare.layout import Job, Progress, write_layout
from tiledseg.data.prepare.spec import PreparationSpec
from tiledseg.errors import DatasetError, ExperimentError
from tiledseg.images.label_files import read_label_map
from tiledseg.images.reading import read_image
from tiledseg.masks.classes import IGNORED


@dataclass(frozen=True)
class Prepared:
    """A dataset that was prepared.

    Attributes:
        folder: The new dataset.
        manifest: One row per image; see ``write_layout``.
        experiment: The source's experiment, for the new dataset.
    """

    folder: Path
    manifest: pd.DataFrame
    experiment: Experiment


def prepare_dataset(
    experiment: Experiment,
    root: Path,
    name: str,
    spec: PreparationSpec,
    progress: Progress | None = None,
    command: str = "",
) -> Prepared:
    """Cut a dataset into a new one; called again, it goes on where it was broken off.

    Splits are those of the source's images: what is cut from one image stays in one split.

    Args:
        experiment: Which dataset is cut, how its masks are read, and how copies are changed.
        root: The folder of both datasets.
        name: Of the new one.
        spec: What to cut.
        progress: Called with source images done and in all.
        command: What the user may call to go on with it.

    Raises:
        ExperimentError: The name cannot be one.
        DatasetError: The source is missing or unsound.
        OutputError: The new folder holds something else, cannot be written, or another process
            writes it.
    """
    made = _experiment_for(experiment, name, spec)
    if name == experiment.dataset.name:
        raise ExperimentError(f"--into {name}: that is the dataset itself; choose another name")
    source = load_dataset(experiment.dataset, root)
    jobs = [
        _job(split, sample, spec, experiment)
        for split, samples in source.splits.items()
        for sample in samples
    ]
    record = spec.record(
        source.name, source.digest, experiment.dataset.foreground_threshold, experiment.augmentation
    )
    manifest = write_layout(
        root / name, record, jobs, progress, made.dataset.classes, source.splits, command
    )
    return Prepared(root / name, manifest, made)


def _job(
    split: str,
    sample: Sample,
    spec: PreparationSpec,
    experiment: Experiment,
) -> Job:
    def pieces() -> Iterator[Piece]:
        image = read_image(sample.image, bit_depth=experiment.image.bit_depth)
        mask = read_label_map(sample.mask, experiment.dataset.foreground_threshold)
        if mask.shape != image.shape[:2]:
            raise DatasetError(
                f"{sample.mask_files[0]}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels, "
                f"but {sample.image} is {image.shape[1]} x {image.shape[0]}; export them at one "
                "size"
            )
        return pieces_of(split, sample.stem, image, mask, spec, experiment.augmentation)

    return Job(f"{split}/{sample.stem}", pieces)


def _experiment_for(experiment: Experiment, name: str, spec: PreparationSpec) -> Experiment:
    """The same settings for the new dataset; crops are no larger than its tiles."""
    about = experiment.dataset.description or experiment.dataset.name
    content = experiment.model_dump(mode="json", exclude_unset=True)
    content["dataset"] = {"name": name, "description": f"{about}, prepared"}
    if not experiment.dataset.split.tiles:
        content["dataset"]["split"] = {"tiles": False}
    if experiment.dataset.holds_labels:
        content["dataset"] |= {"mask_form": "labels", "classes": [*experiment.dataset.classes]}
        if experiment.dataset.ignore_label is not None:
            content["dataset"]["ignore_label"] = IGNORED
    stride = experiment.model.stride
    if spec.tile >= max(stride, 32):
        largest = spec.tile // stride * stride
        content.setdefault("image", {})["size"] = min(experiment.image.size, largest)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(f"--into {name}: {explain(error, Experiment)}") from None
