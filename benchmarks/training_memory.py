"""How much memory the batches of a large dataset take, and how long the first one lets wait.

    python benchmarks/training_memory.py [--images 300] [--side 4096] [--steps 40]
        [--folder FOLDER] [--experiment FILE]

Writes that many drawn images into FOLDER (an empty or new one; a temporary folder by default, which
is removed), decodes them into a cache there, and then, in a process of its own, draws batches as
a training does. Prints the process's memory before the sampler and at most while it draws, without
any network, and the wait for the first batch. Pages of the cache that the system maps and may drop
at any time are counted apart. Each image of 4096 x 4096 takes 67 MB of the disk.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tiledseg.config.experiment import Experiment, load_experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.data.integrity import check_dataset
from tiledseg.data.sampling.sampler import TileSampler
from tiledseg.data.synthetic.smear import draw_smear
from tiledseg.images.writing import write_image, write_mask

NAME = "Large"


def private_mb() -> tuple[float, float]:
    """Memory of this process, in MB: its own, and pages mapped from files."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own, mapped = (int(fields[key].split()[0]) / 1024 for key in ("RssAnon", "RssFile"))
    return own, mapped


def write_images(folder: Path, images: int, side: int) -> None:
    """Images that differ from one another: one drawing, rolled and turned."""
    image, mask = draw_smear(137, side)
    for number in range(images):
        split = ("valid", "test")[number] if number < 2 else "train"
        place = folder / NAME / split
        shift = 97 * number % side
        turned = np.rot90(np.roll(image, shift, axis=0), number % 4)
        write_image(place / "images" / f"{number}.png", np.ascontiguousarray(turned))
        turned_mask = np.rot90(np.roll(mask, shift, axis=0), number % 4)
        write_mask(place / "masks" / f"{number}.png", np.ascontiguousarray(turned_mask))


def experiment_of(path: Path | None) -> Experiment:
    """The experiment given, or the defaults with every warp on, for the large dataset."""
    if path is not None:
        loaded = load_experiment(path)
        return loaded.override({"dataset.name": NAME, "dataset.synthetic": None})
    warp = {"rotation": 180.0, "scale": 0.2, "elastic": 4.0, "grid_distortion": 0.02}
    return Experiment.model_validate({"dataset": {"name": NAME}, "augmentation": warp})


def draw(folder: Path, steps: int, path: Path | None) -> None:
    """Draw batches and print what they take; everything is cached already."""
    experiment = experiment_of(path)
    before, _ = private_mb()
    began = time.perf_counter()
    cache = PixelCache(folder / "cache")
    dataset = load_dataset(experiment.dataset, folder)
    check_dataset(dataset, experiment, cache)
    sampler = TileSampler(dataset.splits["train"], experiment, cache)
    _ = sampler[0]
    waited = time.perf_counter() - began
    most, mapped = private_mb()
    for step in range(1, steps):
        _ = sampler[step]
        own, files = private_mb()
        most, mapped = max(most, own), max(mapped, files)
    count = sum(len(samples) for samples in dataset.splits.values())
    print(f"images                 {count}")
    print(f"before the sampler     {before:.0f} MB")
    print(f"above it, at most      {most - before:.0f} MB in {steps} batches")
    print(f"mapped pages, at most  {mapped:.0f} MB, which the system may drop")
    print(f"first batch after      {waited:.1f} s, the check of all files included")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--experiment", type=Path)
    parser.add_argument("--draw", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.draw:
        draw(options.folder, options.steps, options.experiment)
        return
    with tempfile.TemporaryDirectory(prefix="large-dataset-") as temporary:
        folder = options.folder or Path(temporary)
        write_images(folder, options.images, options.side)
        experiment = experiment_of(options.experiment)
        dataset = load_dataset(experiment.dataset, folder)
        check_dataset(dataset, experiment, PixelCache(folder / "cache"))
        again = [sys.executable, *sys.argv, "--draw", "--folder", str(folder)]
        subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
