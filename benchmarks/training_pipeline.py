"""How much of the bare train step's speed is left when batches come from the real sampler.

    python benchmarks/training_pipeline.py [--dataset NAME] [--steps 30] [--rounds 5]

Both ways call ``model.fit`` on the same compiled network in one process, in turn: once fed by
``TileSampler`` from whole images, once fed one constant batch from memory. Prints the median
throughput of each and the median of the paired ratios; 1.0 means that feeding costs nothing.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import keras

from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import check_dataset, data_root, load_dataset
from tiledseg.data.sampling import TileSampler
from tiledseg.experiment import load_experiment
from tiledseg.training.train import compiled_model

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


class ConstantBatch(keras.utils.PyDataset):
    """One batch, again and again."""

    def __init__(self, batch: Any, steps: int) -> None:
        super().__init__(workers=0)
        self._batch, self._steps = batch, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Any:
        return self._batch


def seconds_of(model: keras.Model, batches: keras.utils.PyDataset) -> float:
    """Wall time of one epoch."""
    began = time.perf_counter()
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="Synthetic-Cell")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    experiment = load_experiment(EXPERIMENTS / f"{options.dataset}.yaml")
    cache = PixelCache()
    dataset = load_dataset(experiment.dataset, data_root())
    check_dataset(dataset, experiment, cache)
    sampler = TileSampler(dataset.splits["train"], experiment, cache, steps=options.steps)
    constant = ConstantBatch(sampler[0], options.steps)
    model = compiled_model(experiment)
    for batches in (constant, sampler):  # compile, and touch every image once
        seconds_of(model, batches)

    pixels = options.steps * experiment.training.batch_size * experiment.image.size**2 / 1e6
    rounds = [
        (seconds_of(model, constant), seconds_of(model, sampler)) for _ in range(options.rounds)
    ]
    fed, bare = (statistics.median(pixels / pair[way] for pair in rounds) for way in (1, 0))
    ratio = statistics.median(constant_s / sampler_s for constant_s, sampler_s in rounds)
    print(f"constant batch   {bare:.3f} megapixels/s (median of {options.rounds})")
    print(f"tile sampler     {fed:.3f} megapixels/s")
    print(f"ratio            {ratio:.3f} (median of paired rounds; 1.0 is the limit)")


if __name__ == "__main__":
    main()
