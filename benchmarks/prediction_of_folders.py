"""Seconds that a folder of small images takes, this checkout against another, in turns.

    python benchmarks/prediction_of_folders.py OTHER_CHECKOUT

Prints the median ratio, this one over the other, last.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).resolve().parents[1]
SIDE = 512


def main() -> None:
    """Compare two checkouts; ``--work`` predicts in one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        predict_folder(options.other)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), options.images)
        ratios = []
        for number in range(options.rounds):
            checkouts = [HERE, options.other.resolve()]
            if number % 2:
                checkouts.reverse()
            seconds = {checkout: time_checkout(checkout, Path(folder)) for checkout in checkouts}
            ratios.append(seconds[HERE] / seconds[options.other.resolve()])
            print(f"round {number}: {ratios[-1]:.3f}", flush=True)
    print(f"{median(ratios):.3f}")


def write_images(folder: Path, count: int) -> None:
    """Blurred noise, so that there are objects."""
    import cv2  # noqa: PLC0415

    dice = np.random.default_rng(0)
    for number in range(count):
        noise = dice.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.png"), cv2.GaussianBlur(noise, (0, 0), 4))


def time_checkout(checkout: Path, images: Path) -> float:
    """Seconds for all images in a process of its own, the first image left out."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).resolve()), str(images), "--work"]
    found = subprocess.run(
        command, env=environment, cwd=checkout, check=True, capture_output=True, text=True
    )
    return float(found.stdout.split()[-1])


def predict_folder(images: Path) -> None:
    """Predict a folder with the checkout on the path; prints seconds."""
    import keras  # noqa: PLC0415

    try:
        from tiledseg.config.experiment import Experiment  # noqa: PLC0415
        from tiledseg.prediction.files import predict_files  # noqa: PLC0415
        from tiledseg.prediction.predictor import Predictor  # noqa: PLC0415
    except ImportError:  # the layout before this one
        from tiledseg.batch_prediction import predict_files  # type: ignore  # noqa: PLC0415
        from tiledseg.experiment import Experiment  # type: ignore  # noqa: PLC0415

        from tiledseg.prediction import Predictor  # type: ignore  # noqa: PLC0415
    from tiledseg.models import build_model  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    experiment = Experiment.model_validate(
        {"dataset": {"name": "Noise"}, "model": {"base_filters": 2}}
    )
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    paths = sorted(images.glob("*.png"))
    with tempfile.TemporaryDirectory() as output:
        predict_files(predictor, paths[:1], Path(output) / "first")
        began = time.perf_counter()
        predict_files(predictor, paths, Path(output) / "all")
        print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
