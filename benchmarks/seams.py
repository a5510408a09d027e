"""What is to be seen of the tiles' seams on the images of a dataset, and of the per-tile way's.

    python benchmarks/seams.py --model models:/NAME@champion [--dataset NAME] [--split test]
        [--megapixels 6]

Predicts each image in one pass at full size, tiled, and the per-tile way of
``tiled_inference.py``. Prints for both the gradient across seams over that of the full pass at
the same places (1.0: nothing is to be seen), and how many labels differ from the full pass. Images
of more megapixels are left out, because their full pass takes much memory. Without test-time
augmentation.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tiled_inference import PEERS_TILE, per_tile_predict

from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.data.preprocessing import preprocess
from tiledseg.images.reading import read_image
from tiledseg.prediction.predictor import Predictor
from tiledseg.tiling.seams import (
    count_flipped_labels,
    max_difference,
    seam_gradient_against_single_pass,
)
from tiledseg.tracking.registry import load_predictor


@dataclass(frozen=True)
class Cells:
    """Where cells of a fixed size meet."""

    image_shape: tuple[int, int]

    @property
    def seam_rows(self) -> Sequence[int]:
        """Rows at which a cell begins."""
        return range(PEERS_TILE, self.image_shape[0], PEERS_TILE)

    @property
    def seam_columns(self) -> Sequence[int]:
        """Columns at which a cell begins."""
        return range(PEERS_TILE, self.image_shape[1], PEERS_TILE)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", help="a folder of the data root; by default the model's own")
    parser.add_argument("--split", default="test")
    parser.add_argument("--megapixels", type=float, default=6.0)
    options = parser.parse_args()
    loaded = load_predictor(options.model)
    experiment = loaded.experiment.override({"tiling.tta": 1})
    predictor = Predictor(loaded.model, experiment)
    per_tile = per_tile_predict(loaded.model)
    named = {"name": options.dataset} if options.dataset else {}
    dataset = load_dataset(experiment.dataset.model_copy(update=named), data_root())
    print(
        f"{'image':<16}{'seams, tiled':>14}{'per tile':>10}{'flipped, tiled':>16}{'per tile':>10}"
    )
    ratios: dict[str, list[float]] = {"tiled": [], "per tile": []}
    for sample in dataset.splits[options.split]:
        image = read_image(sample.image)
        height, width = image.shape[:2]
        if height * width > options.megapixels * 1e6:
            continue
        full = predictor.probability(image, "single_pass")
        tiled = predictor.probability(image)
        other = per_tile(preprocess(image, experiment.image))
        grid, cells = predictor.grid(height, width), Cells((height, width))
        ratios["tiled"].append(seam_gradient_against_single_pass(tiled, full, grid))
        ratios["per tile"].append(seam_gradient_against_single_pass(other, full, cells))
        print(
            f"{sample.stem:<16}{ratios['tiled'][-1]:>14.4f}{ratios['per tile'][-1]:>10.4f}"
            f"{count_flipped_labels(tiled, full):>16}{count_flipped_labels(other, full):>10}"
            f"   largest difference {max_difference(tiled, full):.1e}",
            flush=True,
        )
    for label, values in ratios.items():
        print(f"{label}: mean {statistics.fmean(values):.4f}, largest {max(values):.4f}")


if __name__ == "__main__":
    main()
