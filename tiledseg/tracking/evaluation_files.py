"""Files of a run about one image that was scored: predictions, image, target, sheet."""

import json
import shutil
from pathlib import Path

from tiledseg.evaluation.evaluate import ImageEvaluation
from tiledseg.evaluation.figures import comparison_sheet, save_figure
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_image, write_labels, write_probability, write_target
from tiledseg.masks.classes import labels_of
from tiledseg.tracking.names import (
    COMPARISON_FOLDER,
    IMAGE_LAYER,
    PREDICTIONS_FOLDER,
    TARGET_LAYER,
    grid_file,
)


def write_evaluation(
    folder: Path, evaluation: ImageEvaluation, *, with_image: bool, with_sheet: bool
) -> None:
    """Write what a run keeps of an image that was scored, under the names of the contract.

    Args:
        folder: Holds the run's files.
        evaluation: The image, its target, and what each mode made of it.
        with_image: Keep copies of the image and its target.
        with_sheet: Draw the comparison sheet.
    """
    split, stem = evaluation.split, evaluation.sample.stem
    predictions = folder / PREDICTIONS_FOLDER / split
    for mode, probability in evaluation.probabilities.items():
        path = predictions / mode / f"{stem}.png"
        if probability.shape[2] == 1:
            write_probability(path, probability[..., 0])
        else:
            write_labels(path, labels_of(probability), len(evaluation.classes))
    if evaluation.grid is not None:
        seams = {"rows": evaluation.grid.seam_rows, "columns": evaluation.grid.seam_columns}
        path = folder / grid_file(split, stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(seams), encoding="utf-8")
    if with_image:
        _copy_image(evaluation, predictions)
    if with_sheet:
        sheet = folder / COMPARISON_FOLDER / split / f"{stem}.png"
        sheet.parent.mkdir(parents=True)
        save_figure(comparison_sheet(evaluation), sheet)


def _copy_image(evaluation: ImageEvaluation, predictions: Path) -> None:
    """The image and its target, named like its masks, whatever ``dataset.image_suffix`` is."""
    image, stem = evaluation.sample.image, evaluation.sample.stem
    folder = predictions / IMAGE_LAYER
    folder.mkdir(parents=True, exist_ok=True)
    if image.is_file():
        shutil.copyfile(image, folder / f"{stem}{image.suffix}")
    else:  # a store is a folder of many files
        write_image(folder / f"{stem}.png", read_image(image))
    target = predictions / TARGET_LAYER / f"{stem}.png"
    write_target(target, evaluation.target, len(evaluation.classes))
