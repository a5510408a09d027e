"""The tiling overhead ratio, and other ways to predict the same image with the same network.

    python benchmarks/tiled_inference.py [--side 1024] [--filters 16] [--layers 5] [--rounds 5]

    python benchmarks/tiled_inference.py --side 4096                  the figures of record
    python benchmarks/tiled_inference.py --shapes                     tiled against one whole pass

The ratio is the time from opened image to closed mask, divided by the image's pixels over the
best pixels per second of the bare compiled forward pass; 1.0 is the limit. The best is that of the
window that is fastest, each of them the median of three passes. All ways run in turn, each in a
process of its own, because TensorFlow keeps convolutions by their shapes, and one way's would be
used by another; medians of the rounds, and of the paired ratios, are printed. The others are:

- per-tile predict: cells of 512 px cut out with a margin of 64 px on each side, resized to
  512 px, passed to ``model.predict`` one by one, resized back and cropped. It computes about as
  many pixels as the image has, because the margin is shrunk away.
- medicai: sliding windows of 512 px with an overlap of 25 % and Gaussian weights. It is left out
  unless it is installed beside tiledseg: ``pip install medicai``.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tiledseg.config import ModelSettings
from tiledseg.config.experiment import Experiment
from tiledseg.images.reading import read_image

# tiledseg before Keras, as in the product: it chooses TensorFlow's convolutions.
from tiledseg.images.writing import write_image, write_probability
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tiling.execution.runtimes import Runtime, forward_of
from tiledseg.tiling.execution.single_pass import predict_single_pass
from tiledseg.tiling.execution.streaming import predict_regions
from tiledseg.tiling.geometry.grid import plan_grid
from tiledseg.tiling.geometry.regions import ArraySink, ArraySource
from tiledseg.tiling.network.exactness import model_field
from tiledseg.tiling.seams import count_flipped_labels, max_difference

# isort: split
import cv2
import keras
import numpy as np
from numpy.typing import NDArray

PEERS_TILE, MARGIN = 512, 64
BARE_SIDES = 256, 512, 1024, 1536
Way = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def per_tile_predict(model: Any) -> Way:
    """Cells with a shrunken margin, one ``model.predict`` each."""

    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width, _ = image.shape
        answer = np.zeros((height, width, 1), np.float32)
        for top in range(0, height, PEERS_TILE):
            for left in range(0, width, PEERS_TILE):
                first_row, first_column = max(top - MARGIN, 0), max(left - MARGIN, 0)
                crop = image[
                    first_row : top + PEERS_TILE + MARGIN, first_column : left + PEERS_TILE + MARGIN
                ]
                shown = cv2.resize(crop, (PEERS_TILE, PEERS_TILE))
                values = model.predict(shown[np.newaxis], verbose=0)[0]
                back = cv2.resize(values, (crop.shape[1], crop.shape[0]))
                part = answer[top : top + PEERS_TILE, left : left + PEERS_TILE, 0]
                rows, columns = top - first_row, left - first_column
                part[:] = back[rows : rows + part.shape[0], columns : columns + part.shape[1]]
        return answer

    return predict


def medicai_windows(model: Any) -> Way:
    """The sliding windows of the PyPI package medicai."""
    inference = import_module("medicai.utils.inference").SlidingWindowInference(
        model,
        num_classes=1,
        roi_size=(PEERS_TILE, PEERS_TILE),
        sw_batch_size=1,
        overlap=0.25,
        mode="gaussian",
    )

    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
            return np.asarray(inference(image[np.newaxis])[0])

    return predict


def best_bare_seconds(model: Any) -> Callable[[Path], float]:
    """Seconds per image's pixels of the bare compiled pass, in the window that is fastest."""
    forward = forward_of(model)

    def measure(folder: Path) -> float:
        image = read_image(folder / "image.png")
        seconds = []
        for side in BARE_SIDES:
            if side > min(*image.shape[:2]):
                break
            window = np.ascontiguousarray(image[np.newaxis, :side, :side])
            passes = []
            for _ in range(3):
                began = time.perf_counter()
                forward(window)
                passes.append(time.perf_counter() - began)
            seconds.append(statistics.median(passes) / side**2)
        return min(seconds) * image.shape[0] * image.shape[1]

    return measure


def from_image_to_mask(way: Way) -> Callable[[Path], float]:
    """Seconds from opened image to closed mask."""

    def measure(folder: Path) -> float:
        began = time.perf_counter()
        image = read_image(folder / "image.png")
        write_probability(folder / "mask.png", way(image)[..., 0])
        return time.perf_counter() - began

    return measure


def predictor_of(settings: ModelSettings, runtime: Runtime = "keras") -> Predictor:
    """Of random weights: time does not depend on them."""
    experiment = Experiment.model_validate(
        {"dataset": {"name": "Benchmark"}, "model": settings.model_dump()}
    )
    return Predictor(build_model(settings, 3), experiment, runtime=runtime)


BARE = "bare pass"
WAYS: dict[str, Callable[[ModelSettings], Callable[[Path], float]]] = {
    BARE: lambda settings: best_bare_seconds(build_model(settings, 3)),
    "tiledseg": lambda settings: from_image_to_mask(predictor_of(settings).probability),
    "tiledseg, openvino": lambda settings: from_image_to_mask(
        predictor_of(settings, "openvino").probability
    ),
    "per-tile predict": lambda settings: from_image_to_mask(
        per_tile_predict(build_model(settings, 3))
    ),
    "medicai": lambda settings: from_image_to_mask(medicai_windows(build_model(settings, 3))),
}
_here: list[Callable[[Path], float]] = []
"""The way that this process takes."""


def begin(label: str, filters: int, layers: int) -> None:
    """Make a way ready in the process that is going to take it."""
    _here.append(WAYS[label](ModelSettings(base_filters=filters, num_layers=layers)))


def measure(folder: Path) -> float:
    """Seconds, in the process that ``begin`` was called in."""
    return _here[0](folder)


def compare(options: argparse.Namespace) -> None:
    """Time every way on one image, in turn."""
    needs = {"tiledseg, openvino": "openvino", "medicai": "medicai"}
    missing = {label for label, package in needs.items() if not find_spec(package)}
    for label in sorted(missing):
        print(f"{label} is left out; pip install {needs[label]}")
    side = options.side
    predictor = predictor_of(ModelSettings(base_filters=options.filters, num_layers=options.layers))
    for line in predictor.plan(side, side).lines():
        print(line)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        write_image(folder / "image.png", textured(side, side))
        processes = {
            label: stack.enter_context(
                ProcessPoolExecutor(
                    1, get_context("spawn"), begin, (label, options.filters, options.layers)
                )
            )
            for label in WAYS
            if label not in missing
        }

        def turn() -> dict[str, float]:
            return {
                label: process.submit(measure, folder).result()
                for label, process in processes.items()
            }

        turn()  # what is compiled at first use is not counted
        rounds = [turn() for _ in range(options.rounds)]
    for label in processes:
        seconds = statistics.median(one[label] for one in rounds)
        slower = statistics.median(one[label] / one["tiledseg"] for one in rounds)
        ratio = statistics.median(one[label] / one[BARE] for one in rounds)
        print(
            f"{label:20s}{side * side / 1e6 / seconds:.3f} megapixels/s, overhead ratio "
            f"{ratio:.2f}, takes {slower:.2f} times as long as tiledseg"
        )


def textured(height: int, width: int) -> NDArray[np.uint8]:
    """Noise with structures of many sizes, so that probabilities vary."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for size in (1, 4, 16, 64):
        grain = rng.normal(0, 1, (-(-height // size), -(-width // size), 3)).astype(np.float32)
        total += cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(127 + 50 * total, 0, 255).astype(np.uint8)


def shapes(options: argparse.Namespace) -> None:
    """Tiled against one pass at full size, for awkward shapes."""
    networks = {
        "4 levels, dilated": ModelSettings(num_layers=4, dilation=2, base_filters=options.filters),
        "5 levels": ModelSettings(num_layers=5, base_filters=options.filters),
        "6 levels": ModelSettings(num_layers=6, base_filters=options.filters),
        "UNet 3+, bilinear": ModelSettings(architecture="UNet3Plus", num_layers=4, base_filters=8),
    }
    for label, settings in networks.items():
        keras.utils.set_random_seed(1)
        model = build_model(settings, 3)
        field = model_field(model)
        for height, width in ((1024, 1024), (1000, 1537), (513, 4099), (40, 40)):
            image = textured(height, width)
            whole = predict_single_pass(model, image)
            halo, stride = field.halo, field.stride
            grid = plan_grid(height, width, halo=halo, stride=stride, max_tile=options.tile)
            sink = ArraySink(height, width, model.output_shape[-1])
            predict_regions(model, ArraySource(image), sink, grid=grid)
            print(
                f"{label:18s} {height:4d} x {width:4d}  {len(grid.tiles):3d} tiles  "
                f"difference {max_difference(sink.values, whole):.1e}  "
                f"flipped {count_flipped_labels(sink.values, whole)}"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tile", type=int, default=640, help="for --shapes")
    parser.add_argument("--shapes", action="store_true")
    options = parser.parse_args()
    (shapes if options.shapes else compare)(options)


if __name__ == "__main__":
    main()
