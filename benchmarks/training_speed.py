"""What a training step takes: as it is, part by part, and against another commit.

    python benchmarks/training_speed.py [NAME ...] [--against COMMIT] [--rounds 3] [--steps 10]

NAME is an experiment, by default the five of the sources, Synthetic-Cell, and that with five more
architectures; data are found as by ``tiledseg train`` (``TILEDSEG_DATA``). Prints a table of
milliseconds per step and the largest part of each. Parts are differences between ever longer
prefixes of a step, medians of rounds; drawing is that of one thread, and goes on beside the rest.
With ``--against``, both trees run their own ``training_pipeline.py``, in turn, and the last line
gives the medians of the paired ratios of steps per second.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from training_pipeline import EXPERIMENTS, ConstantBatch, seconds_of

from tiledseg.config.experiment import Experiment, load_experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.data.integrity import check_dataset
from tiledseg.data.sampling.sampler import TileSampler
from tiledseg.training.callbacks import FiniteLoss, ReseededDropout
from tiledseg.training.fit import compile_model, decide_arithmetic
from tiledseg.training.losses import make_loss
from tiledseg.training.schedule import Clock, CosineRate

# isort: split
import keras
import pandas as pd
import tensorflow as tf

HOME = Path(__file__).resolve().parents[1]
COMPARED = ("Tiled-Cell", "Tiled-MultipleMyeloma", "MultipleMyeloma", "Synthetic-Cell")
EXPERIMENT_NAMES = (*COMPARED, "Tiled-Cervical-Cancer", "Malignant-BreastDM")
OTHERS = ("AttentionUNet", "MultiResUNet", "UNet3Plus", "SharpUNet", "U2Net")
"""Architectures that Synthetic-Cell is timed with beside its own."""
SPEED = re.compile(r"tile sampler\s+([\d.]+) megapixels/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--against", metavar="COMMIT")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    rows = {}
    for name in options.names or [
        *EXPERIMENT_NAMES,
        *(f"Synthetic-Cell:{each}" for each in OTHERS),
    ]:
        experiment = load(name)
        chosen = decide_arithmetic(experiment)
        parts = time_parts(chosen.apply(experiment), options.rounds, options.steps)
        largest = max(set(parts) - {"step", "drawing"}, key=lambda part: parts[part])
        rows[name] = {"arithmetic": str(chosen.arithmetic), **parts, "largest": largest}
        print(f"{name}: {parts['step']:.0f} ms per step, most of it {largest}", flush=True)
    print(pd.DataFrame(rows).T.to_string(float_format=lambda value: f"{value:.1f}"))
    if options.against:
        named = [name for name in options.names or COMPARED if ":" not in name]
        with worktree(options.against) as tree:
            ratios = {name: compare(name, tree, options.rounds, options.steps) for name in named}
        told = " ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        print(f"steps per second against {options.against}: {told}")


def load(name: str) -> Experiment:
    """An experiment, or ``NAME:ARCHITECTURE``, it with another architecture."""
    file, _, architecture = name.partition(":")
    changes = [f"model.architecture={architecture}"] if architecture else []
    return load_experiment(EXPERIMENTS / f"{file}.yaml", changes)


def time_parts(experiment: Experiment, rounds: int, steps: int) -> dict[str, float]:
    """Milliseconds of a step and of its parts.

    Args:
        experiment: With its arithmetic.
        rounds: Medians are of so many.
        steps: In each round.
    """
    settings, cache = experiment.training, PixelCache()
    dataset = load_dataset(experiment.dataset, data_root())
    check_dataset(dataset, experiment, cache)
    sampler = TileSampler(dataset.splits["train"], experiment, cache, steps=steps)
    images, labels = sampler[0]
    model, loss = compile_model(experiment), make_loss(settings)
    bare = compile_model(experiment)
    bare.compile(optimizer=bare.optimizer, loss=loss, jit_compile=bool(settings.xla))
    body = keras.Model(model.input, model.get_layer("logits").input)
    inputs, targets = tf.constant(images), tf.constant(labels)

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            value = loss(targets, model(inputs, training=True))
        return tape.gradient(value, model.trainable_variables)

    graph = tf.function(jit_compile=bool(settings.xla))
    constant = ConstantBatch((images, labels))
    callbacks = [
        FiniteLoss(),
        ReseededDropout(settings),
        CosineRate(settings, Clock(settings, earlier=0.0)),
    ]
    prefixes: Mapping[str, Callable[[], float]] = {
        "forward": repeat(graph(lambda: body(inputs, training=True)), steps),
        "head": repeat(graph(lambda: model(inputs, training=True)), steps),
        "loss": repeat(graph(lambda: loss(targets, model(inputs, training=True))), steps),
        "backward": repeat(graph(gradient), steps),
        "optimizer": lambda: seconds_of(bare, constant, steps) / steps,
        "metrics": lambda: seconds_of(model, constant, steps) / steps,
        "callbacks": lambda: seconds_of(model, constant, steps, callbacks) / steps,
        "step": lambda: seconds_of(model, sampler, steps) / steps,
        "drawing": repeat(lambda: sampler[0], 3),
    }
    for measure in prefixes.values():  # compiles
        measure()
    timed = [{name: measure() for name, measure in prefixes.items()} for _ in range(rounds)]
    found = {name: 1000 * statistics.median(one[name] for one in timed) for name in prefixes}
    ends = ("forward", "head", "loss", "backward", "optimizer", "metrics", "callbacks")
    parts = {"step": found["step"], "drawing": found["drawing"], "forward": found["forward"]}
    for before, part in pairwise(ends):
        parts[part] = found[part] - found[before]
    return parts


def repeat(work: Callable[[], Any], times: int) -> Callable[[], float]:
    """Seconds that some work takes, of several times in a row."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(times):
            result = work()
        if isinstance(result, tf.Tensor):
            result.numpy()
        return (time.perf_counter() - began) / times

    return measure


def compare(name: str, other: Path, rounds: int, steps: int) -> float:
    """Steps per second here over those of another tree, the median of paired rounds."""
    ratios = []
    for number in range(rounds):
        trees = (HOME, other) if number % 2 else (other, HOME)
        speeds = {tree: speed_of(name, tree, steps) for tree in trees}
        ratios.append(speeds[HOME] / speeds[other])
        print(f"{name}, round {number}: {ratios[-1]:.3f}", flush=True)
    return statistics.median(ratios)


def speed_of(name: str, tree: Path, steps: int) -> float:
    """Megapixels per second that a tree trains."""
    script = "benchmarks/training_pipeline.py"
    options = ["--dataset", name, "--steps", str(steps), "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, script, *options],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "TILEDSEG_DATA": str(data_root().resolve())},
        capture_output=True,
        text=True,
        check=False,
    )
    found = SPEED.search(done.stdout)
    if found is None:
        raise RuntimeError(f"{tree}: {done.stderr[-2000:]}")
    return float(found.group(1))


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """A checkout of a commit, removed with the block."""
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        run_git("worktree", "add", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            run_git("worktree", "remove", "--force", str(tree))


def run_git(*words: str) -> None:
    """Run git in this checkout."""
    subprocess.run(["git", "-C", str(HOME), *words], check=True, capture_output=True)


if __name__ == "__main__":
    main()
