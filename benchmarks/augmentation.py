"""How long one augmented sample takes on one core.

    python benchmarks/augmentation.py [--size 512] [--samples 60] [--experiment FILE]

Cuts crops out of a drawn image of four times their side, with every change switched on, and
prints the median time of a sample in each color space, and what each change adds to flips and
colors alone. With an experiment, its own augmentation is timed instead. Times are of the
processor, so that what else runs on the machine counts little.
"""

import argparse
import statistics
import time
from pathlib import Path

import cv2
import numpy as np

from tiledseg.config import AugmentationSettings, ImageSettings
from tiledseg.config.experiment import load_experiment
from tiledseg.data.augmentation.augment import augment
from tiledseg.data.preprocessing import preprocess
from tiledseg.data.sampling.crops import Window
from tiledseg.data.synthetic.smear import draw_smear

CHANGES: dict[str, dict[str, float]] = {
    "rotation": {"rotation": 180.0},
    "scale": {"scale": 0.3},
    "shear": {"shear": 0.2},
    "elastic": {"elastic": 6.0, "elastic_smoothness": 16.0},
    "grid_distortion": {"grid_distortion": 0.05},
    "barrel": {"barrel": 0.4},
    "pincushion": {"pincushion": 0.4},
    "stain": {"stain": 0.2},
    "gamma": {"gamma": 0.4},
    "blur": {"blur": 1.5},
    "sharpening": {"sharpening": 1.0},
    "noise": {"noise": 0.03},
    "jpeg": {"jpeg": 60},
}


def median_ms(
    settings: AugmentationSettings, color_space: str, size: int, samples: int
) -> tuple[float, float]:
    """Median and slowest tenth of the time of one sample, in milliseconds."""
    image, mask = draw_smear(137, 4 * size)
    channels = 1 if color_space == "gray" else 3
    shown = preprocess(
        image, ImageSettings.model_validate({"color_space": color_space, "channels": channels})
    )
    labels = mask.astype(np.uint8)
    times = []
    for number in range(samples + 3):
        rng = np.random.default_rng(number)
        side = round(size / (1.0 + float(rng.uniform(-settings.scale, settings.scale))))
        top, left = (int(place) for place in rng.integers(0, 4 * size - side, 2))
        window = Window(top, left, side, size)
        began = time.thread_time()
        augment(shown, labels, rng, settings, color_space, window)
        times.append(1e3 * (time.thread_time() - began))
    times = sorted(times[3:])  # the first ones touch memory for the first time
    return statistics.median(times), times[len(times) * 9 // 10]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--experiment", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.experiment:
        experiment = load_experiment(options.experiment)
        found = median_ms(
            experiment.augmentation,
            experiment.image.color_space,
            experiment.image.size,
            options.samples,
        )
        print(f"{options.experiment.stem:20} {found[0]:6.2f} ms (slowest tenth {found[1]:.2f})")
        return
    together: dict[str, float] = {}
    for changes in CHANGES.values():
        together |= changes
    everything = AugmentationSettings.model_validate(together)
    for color_space in ("rgb", "hsv", "lab", "gray"):
        median, slow = median_ms(everything, color_space, options.size, options.samples)
        print(f"everything, {color_space:8} {median:6.2f} ms (slowest tenth {slow:.2f})")
    plain, _ = median_ms(AugmentationSettings(), "rgb", options.size, options.samples)
    print(f"flips and colors    {plain:6.2f} ms")
    for name, changes in CHANGES.items():
        settings = AugmentationSettings.model_validate(changes)
        median, _ = median_ms(settings, "rgb", options.size, options.samples)
        print(f"{name:20} {median - plain:+6.2f} ms")


if __name__ == "__main__":
    main()
