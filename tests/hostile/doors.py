"""In a process of its own: bring hostile files to one door, and say what each costs.

    python doors.py DOOR FOLDER

``FOLDER`` holds the files, and the folder of a sound network ``sound``. A line of JSON for each
file: its name, how it ended, the message, the growth of the most memory ever held, in megabytes,
and the seconds.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tiledseg.errors import TiledsegError

OPENED, REFUSED = "opened", "refused"
FOLDER = Path(sys.argv[2]) if __name__ == "__main__" else Path()


def held() -> float:
    """The most memory ever held, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def attempt(name: str, work: Callable[[], object]) -> None:
    before, began = held(), time.perf_counter()
    outcome, message = OPENED, ""
    try:
        work()
    except TiledsegError as error:
        outcome, message = REFUSED, str(error)
    except Exception as error:  # noqa: BLE001 - what must not happen is what is looked for
        outcome, message = type(error).__name__, repr(error)
    seconds = time.perf_counter() - began
    line = {"name": name, "outcome": outcome, "message": message, "seconds": seconds}
    sys.stdout.write(json.dumps(line | {"megabytes": held() - before}) + "\n")
    sys.stdout.flush()


def images() -> list[Path]:
    return sorted(path for path in FOLDER.iterdir() if path.name != "sound")


def check() -> None:
    """Each is an image of a dataset, and then a mask of it."""
    from tiledseg.checking.check import check_folder
    from tiledseg.config.experiment import Experiment
    from tiledseg.images.writing import write_mask

    for kind in ("images", "masks"):
        for path in images():
            home = FOLDER.parent / f"check-{kind}-{path.name}" / "train"
            for name in ("images", "masks"):
                (home / name).mkdir(parents=True)
            (home / kind / path.name).symlink_to(path)
            other = "masks" if kind == "images" else "images"
            write_mask(home / other / f"{path.name.partition('.')[0]}.png", np.ones((10, 10)))

            def work(folder: Path = home.parent, place: Path = home / kind / path.name) -> None:
                experiment = Experiment.model_validate({"dataset": {"name": "Bombs"}})
                report = check_folder(folder, experiment, halo=0)
                for finding in report.findings:
                    if finding.severity == "error" and place in (finding.place, *finding.others):
                        raise TiledsegError(f"{place}: {finding.message}; {finding.remedy}")

            attempt(f"{kind}/{path.name}", work)


def train() -> None:
    """What a training reads of a dataset."""
    from tiledseg.config import ImageSettings
    from tiledseg.data.cache import PixelCache

    cache, settings = PixelCache(FOLDER.parent / "cache"), ImageSettings()
    for path in images():
        attempt(f"images/{path.name}", lambda path=path: cache.image(path, settings))
        attempt(f"masks/{path.name}", lambda path=path: cache.mask(path, 127))


def labels() -> None:
    """Masks whose values name classes."""
    from tiledseg.config import DatasetSettings
    from tiledseg.images.label_files import read_labels

    settings = DatasetSettings(
        name="Bombs", mask_form="labels", classes=[f"c{number}" for number in range(200)]
    )
    for path in images():
        attempt(path.name, lambda path=path: read_labels(path, settings))


def load_sound() -> Any:
    from tiledseg.backend import load_backend

    load_backend()
    from tiledseg.prediction.predictor import Predictor

    predictor = Predictor.load(FOLDER / "sound")
    predictor.probability(np.zeros((10, 10, 3), np.uint8))
    return predictor


def predict() -> None:
    """Images, and masks of where to look."""
    predictor = load_sound()
    from tiledseg.images.writing import write_image
    from tiledseg.prediction.files import explain_tiles, find_images, predict_files
    from tiledseg.prediction.options import PredictionOptions

    output = FOLDER.parent / "output"
    sound = FOLDER.parent / "sound.png"
    write_image(sound, np.zeros((10, 10, 3), np.uint8))
    for path in images():
        found = find_images([path])
        attempt(f"images/{path.name}", lambda found=found: predict_files(predictor, found, output))
        attempt(f"explained/{path.name}", lambda path=path: explain_tiles(predictor, path))
        options = PredictionOptions(interest=path, overwrite=True)
        attempt(
            f"interest/{path.name}",
            lambda options=options: predict_files(predictor, [sound], output, options),
        )


def upload() -> None:
    """Files that visitors of the dashboard bring, segmented if they are taken."""
    from dashboards.uploads import UploadFolder
    from tiledseg.images.reading import read_image

    folder = UploadFolder()
    for path in images():
        if path.is_file():
            data = path.read_bytes()
            attempt(
                path.name,
                lambda path=path, data=data: read_image(folder.accept(path.name, data).path),
            )
    folder.close()


def view() -> None:
    """Pictures that the dashboard shows: tiles, thumbnails, sizes."""
    from dashboards.pictures import Picture, size_of
    from dashboards.pyramids import open_pyramid
    from dashboards.thumbnails import thumbnail

    cache = FOLDER.parent / "pyramids"
    for path in images():
        attempt(f"size/{path.name}", lambda path=path: size_of(path))
        for kind in ("image", "mask"):
            picture = Picture(path, kind)
            attempt(
                f"{kind}/{path.name}", lambda path=path, kind=kind: open_pyramid(path, kind, cache)
            )
            attempt(f"thumbnail-{kind}/{path.name}", lambda picture=picture: thumbnail(picture))


def load() -> None:
    """Folders of networks, as ``predict`` and MLflow load them."""
    load_sound()
    from types import SimpleNamespace

    from tiledseg.prediction.predictor import Predictor
    from tiledseg.tracking.serving import ServedModel

    for path in images():
        attempt(f"loaded/{path.name}", lambda path=path: Predictor.load(path))
        context = SimpleNamespace(artifacts={"predictor": str(path)})
        attempt(f"served/{path.name}", lambda context=context: ServedModel().load_context(context))


def serve() -> None:
    """Arrays that claim far more than they hold, given to a served network."""
    predictor = load_sound()
    arrays = {
        f"{side} x {side} x {channels}": np.broadcast_to(np.uint8(7), (side, side, channels))
        for side in (33_000, 40_000, 100_000, 10**6, 10**9)
        for channels in (1, 3)
    }
    for name, array in arrays.items():
        for mode in ("tiled", "resized"):
            attempt(f"{mode}/{name}", lambda a=array, mode=mode: predictor.probability(a, mode))


DOORS = {door.__name__: door for door in (check, train, labels, predict, upload, view, load, serve)}

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    DOORS[sys.argv[1]]()
