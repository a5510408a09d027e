"""Does every architecture learn: validation Dice after a few steps on drawn blood smears.

    python benchmarks/architectures.py [NAME ...] [--steps 200] [--data DIR]

Each network, at a small setting, sees batches of four crops of 128 x 128 pixels from a small
Synthetic-Cell, drawn into DIR (a folder of its own unless given). Prints a row for each: its
weights, Dice on validation crops after each quarter of the steps, and seconds per step. All of
them are to reach 0.80.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tiledseg.config.experiment import Experiment, load_experiment

# tiledseg before Keras, as in the product: it chooses TensorFlow's convolutions.
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset, load_dataset
from tiledseg.data.integrity import check_dataset
from tiledseg.data.sampling.sampler import TileSampler
from tiledseg.data.sampling.validation_tiles import ValidationTiles
from tiledseg.models import BUILDERS
from tiledseg.training.fit import compile_model

# isort: split
import keras

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "Synthetic-Cell.yaml"
GOAL = 0.80
BASE = (
    "dataset.synthetic={seed: 137, size: 512, train: 8, valid: 3, test: 1}",
    "image.size=128",
    "training={batch_size: 4, validation_tiles: 48, learning_rate: 0.002, precision: auto}",
)
SMALL: Mapping[str, str] = {
    "UNet": "{base_filters: 8, num_layers: 4}",
    "AttentionUNet": "{base_filters: 8, num_layers: 4}",
    "MultiResUNet": "{base_filters: 8, num_layers: 4}",
    "UNet3Plus": "{base_filters: 8, num_layers: 4}",
    "EfficientUNet": "{base_filters: 8}",
    "DeepLabV3Plus": "{base_filters: 4}",
    "SwinUNet": "{embed_dim: 24, num_heads: 3, window_size: 4, dropout_rate: 0.0}",
    "TransUNet": "{base_filters: 4, hidden_size: 64, num_transformer: 2}",
    "U2Net": "{base_filters: 16, compact: true}",
    "SharpUNet": "{base_filters: 8, num_layers: 4}",
}


def experiment_of(name: str) -> Experiment:
    """The experiment that teaches an architecture at its small setting."""
    model = SMALL[name].replace("{", "{architecture: " + name + ", ", 1)
    return load_experiment(EXPERIMENT, [*BASE, f"model={model}"])


def learn(experiment: Experiment, dataset: Dataset, cache: PixelCache, steps: int) -> str:
    """Train, and tell how it went."""
    keras.utils.set_random_seed(experiment.training.seed)
    model = compile_model(experiment)
    quarter = math.ceil(steps / 4)
    validation = ValidationTiles(dataset.splits["valid"], experiment, cache)
    began, seconds, dice = time.perf_counter(), 0.0, []
    for epoch in range(4):
        began = time.perf_counter()
        model.fit(
            TileSampler(dataset.splits["train"], experiment, cache, start_epoch=epoch),
            steps_per_epoch=quarter,
            epochs=1,
            shuffle=False,
            verbose=0,
        )
        seconds += time.perf_counter() - began
        dice.append(model.evaluate(validation, verbose=0, return_dict=True)["dice"])
    scores = " ".join(f"{score:.3f}" for score in dice)
    outcome = "reached" if max(dice) >= GOAL else "missed"
    return f"{model.count_params():>11,}  {scores}  {outcome}  {seconds / (4 * quarter):.2f} s/step"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(BUILDERS), metavar="NAME")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root, cache = options.data or Path(temporary), PixelCache()
        dataset = load_dataset(experiment_of("UNet").dataset, root)
        print(f"{'':<14} {'weights':>11}  Dice after each quarter of {options.steps} steps")
        for name in options.names:
            experiment = experiment_of(name)
            check_dataset(dataset, experiment, cache)
            print(f"{name:<14} {learn(experiment, dataset, cache, options.steps)}", flush=True)
            keras.utils.clear_session()


if __name__ == "__main__":
    main()
