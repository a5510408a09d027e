"""How much memory a prediction takes above the loaded model, and how it grows with the image.

    python benchmarks/memory_of_tiling.py [--shapes 4096x4096 8192x4096] [--filters 16]
    python benchmarks/memory_of_tiling.py --shapes 16384x16384 16384x8192

Draws a smear as a tiled TIFF, predicts it into a pyramidal OME-Zarr in a process of its own, and
prints the largest resident memory while it did less that with the model loaded, its share of the
limit, and the seconds. The last line is the ratio of the first two shapes (height x width). The
network has random weights, and finds more or fewer specks by ``--seed``: each takes memory, so
their number is printed, too. Needs Linux, whose kernel counts the peak.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

LIMIT = 1.5
"""GB above the loaded model."""
FIELD, TILE = 1024, 512
"""Sides of the field that is drawn and repeated, and of a tile of the TIFF, in pixels."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["4096x4096", "8192x4096"])
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the weights")
    parser.add_argument("--objects", action="store_true", help="with CSV, GeoJSON and labels")
    parser.add_argument("--folder", type=Path, help="for the images; a temporary one by default")
    options = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        for number, text in enumerate(options.shapes):
            height, width = (int(side) for side in text.split("x"))
            place = Path(temporary) / str(number)
            place.mkdir()
            draw(place / "smear.tif", height, width)
            answer, told = multiprocessing.get_context("spawn").Pipe(duplex=False)
            process = multiprocessing.get_context("spawn").Process(
                target=measure, args=(place, options, told)
            )
            process.start()
            told.close()
            loaded, peak, seconds, objects = answer.recv()
            process.join()
            peaks.append(peak - loaded)
            print(
                f"{height} x {width}  {peaks[-1]:.3f} GB above the {loaded:.3f} GB with the model "
                f"({100 * peaks[-1] / LIMIT:.0f} % of the limit), {seconds:.0f} s, "
                f"{height * width / 1e6 / seconds:.2f} megapixels/s, {objects} objects",
                flush=True,
            )
    if len(peaks) > 1:
        print(f"memory of {options.shapes[1]} over {options.shapes[0]}: {peaks[1] / peaks[0]:.3f}")


def draw(path: Path, height: int, width: int) -> None:
    """Write a smear as a tiled TIFF, one drawn field over and over."""
    from tiledseg.data.synthetic.smear import draw_smear  # noqa: PLC0415  # what it loads is not measured

    field, _ = draw_smear(137, FIELD)

    def tiles() -> Iterator[Any]:
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                rows, columns = top % FIELD, left % FIELD
                yield np.ascontiguousarray(field[rows : rows + TILE, columns : columns + TILE])

    tifffile.imwrite(
        path, tiles(), shape=(height, width, 3), dtype=np.uint8, tile=(TILE, TILE),
        photometric="rgb", compression="zlib", bigtiff=True,
    )  # fmt: skip


def measure(folder: Path, options: argparse.Namespace, told: Connection) -> None:
    """Predict, and tell GB with the model, GB at the peak, seconds, and the number of objects."""
    from tiledseg.backend import load_backend  # noqa: PLC0415  # the process measures itself

    load_backend()
    import keras  # noqa: PLC0415

    from tiledseg.config.experiment import Experiment  # noqa: PLC0415
    from tiledseg.models import build_model  # noqa: PLC0415
    from tiledseg.prediction.job import predict_image  # noqa: PLC0415
    from tiledseg.prediction.options import PredictionOptions  # noqa: PLC0415
    from tiledseg.prediction.predictor import Predictor  # noqa: PLC0415

    experiment = Experiment.model_validate(
        {
            "dataset": {"name": "Smear"},
            "model": {"base_filters": options.filters, "num_layers": options.levels},
        }
    )
    keras.utils.set_random_seed(options.seed)
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    loaded = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    began = time.perf_counter()
    wanted = PredictionOptions(
        format="ome-zarr", content="probability", with_objects=options.objects
    )
    done = predict_image(predictor, folder / "smear.tif", folder / "out", wanted)
    told.send((loaded, _status("VmHWM"), time.perf_counter() - began, done.objects))


def _status(name: str) -> float:
    """A line of /proc/self/status, in GB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise OSError(f"/proc/self/status has no {name}; this benchmark needs Linux")


if __name__ == "__main__":
    main()
