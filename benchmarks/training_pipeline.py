"""How much of the bare train step's speed is left when batches come from the real sampler.

    python benchmarks/training_pipeline.py [--dataset NAME] [--steps 30] [--rounds 5]

Both ways call ``model.fit`` on the same compiled network in one process, in turn: once fed by
``TileSampler`` from whole images, once fed one constant batch from memory. Prints the median
throughput of each and the median of the paired ratios; 1.0 means that feeding costs nothing.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiledseg.config.experiment import load_experiment

# tiledseg before Keras, as in the product: it chooses TensorFlow's convolutions.
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.data.integrity import check_dataset
from tiledseg.data.sampling.sampler import TileSampler
from tiledseg.training.fit import compile_model, decide_arithmetic

# isort: split
import keras

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"


class ConstantBatch(keras.utils.PyDataset):
    """One batch, again and again, without end like the sampler."""

    def __init__(self, batch: Any) -> None:
        super().__init__(workers=0)
        self._batch = batch

    @property
    def num_batches(self) -> None:
        """None: there is no end."""
        return None

    def __getitem__(self, index: int) -> Any:
        return self._batch


class Stopwatch(keras.callbacks.Callback):
    """Wall time from the first batch's end to the last's, which leaves the pipeline's start out."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Note the time."""
        now = time.perf_counter()
        if batch == 0:
            self._began = now
        self.seconds = now - self._began


def seconds_of(
    model: keras.Model,
    batches: keras.utils.PyDataset,
    steps: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> float:
    """Wall time of ``steps`` batches, after one that is not counted."""
    watch = Stopwatch()
    model.fit(
        batches,
        steps_per_epoch=steps + 1,
        epochs=1,
        verbose=0,
        shuffle=False,
        callbacks=[*callbacks, watch],
    )
    return watch.seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="Synthetic-Cell")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    experiment = load_experiment(EXPERIMENTS / f"{options.dataset}.yaml")
    experiment = decide_arithmetic(experiment).apply(experiment)
    cache = PixelCache()
    dataset = load_dataset(experiment.dataset, data_root())
    check_dataset(dataset, experiment, cache)
    sampler = TileSampler(dataset.splits["train"], experiment, cache, steps=options.steps)
    constant = ConstantBatch(sampler[0])
    model = compile_model(experiment)
    for batches in (constant, sampler):  # compile, and touch every image once
        seconds_of(model, batches, options.steps)

    pixels = options.steps * experiment.training.batch_size * experiment.image.size**2 / 1e6
    rounds = [
        (
            seconds_of(model, constant, options.steps),
            seconds_of(model, sampler, options.steps),
        )
        for _ in range(options.rounds)
    ]
    fed, bare = (statistics.median(pixels / pair[way] for pair in rounds) for way in (1, 0))
    ratio = statistics.median(constant_s / sampler_s for constant_s, sampler_s in rounds)
    print(f"constant batch   {bare:.3f} megapixels/s (median of {options.rounds})")
    print(f"tile sampler     {fed:.3f} megapixels/s")
    print(f"ratio            {ratio:.3f} (median of paired rounds; 1.0 is the limit)")


if __name__ == "__main__":
    main()
