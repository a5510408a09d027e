"""A prediction killed outright at random moments, and what its output and its repeated work are.

    python benchmarks/resume_after_kill.py [--kills 10] [--side 1024] [--seed 0]

Predicts a drawn smear without interruption, then again with so many SIGKILLs, each at a random
moment of the work that is left, and a last start that ends. Prints for each kill how much had
been entered in the journal, whether the files are the same to the last byte, and how many
batches were computed more than once, per kill. Works in a temporary folder.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import tifffile

from tiledseg.config.experiment import Experiment
from tiledseg.data.synthetic.smear import draw_smear
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

HOUSE = Path(__file__).resolve().parents[1]
sys.path.append(str(HOUSE / "tests" / "prediction"))
from predict_process import TILES_AT_ONCE, Work, kill_somewhere, start  # noqa: E402

FILES = {"form": "ome-tiff", "content": "probability", "with_objects": True}


def main() -> None:
    """Kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        compare(Path(temporary), options.kills, options.side, random.Random(options.seed))


def compare(folder: Path, kills: int, side: int, dice: random.Random) -> None:
    """One uninterrupted run, one with kills."""
    experiment = Experiment.model_validate(
        {
            "dataset": {"name": "Smear"},
            "image": {"size": 32},
            "model": {"base_filters": 4, "num_layers": 2},
            "tiling": {"max_tile": 64},
        }
    )
    predictor = Predictor(build_model(experiment.model, 3), experiment)
    (folder / "model").mkdir()
    predictor.save(folder / "model")
    image, _ = draw_smear(137, side)
    tifffile.imwrite(folder / "smear.tif", image, photometric="rgb", tile=(256, 256))
    tiles = len(predictor.grid(side, side).tiles)

    def work(name: str) -> Work:
        return Work(folder / "model", folder / "smear.tif", folder / name, folder / f"{name}.log",
                    FILES)  # fmt: skip

    whole, killed = work("whole"), work("killed")
    finish(whole)
    for number in range(1, kills + 1):
        code = kill_somewhere(killed, dice, tiles, kills - number + 1)
        entered = [len(file.read_bytes().split()) for file in killed.output.glob(".*/tiles")]
        print(f"kill {number}: exit code {code}, {entered or [0]} of {tiles} tiles entered")
    finish(killed)
    same = contents(whole.output) == contents(killed.output)
    print(f"{len(contents(killed.output))} files, {'identical' if same else 'DIFFERENT'}")
    repeated = (sum(killed.begun()) - tiles) / TILES_AT_ONCE
    print(f"{repeated:.0f} batches repeated, {repeated / max(kills, 1):.2f} per kill")
    if not same:
        sys.exit(1)


def finish(work: Work) -> None:
    """Start the work and let it end."""
    process = start(work)
    process.join()
    if process.exitcode != 0:
        sys.exit(f"a start that was not killed ended with {process.exitcode}")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    main()
