"""In a process of its own: read what it is told to, and say how it ended.

    python readers.py NETWORK

``NETWORK`` is the folder of a sound one.

Each line of input is JSON, the reader's name and a path; each line of output is JSON, how it ended
and the most memory ever held, in megabytes.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from seeds import prepare

from tiledseg.config import DatasetSettings, ImageSettings, SplitSettings
from tiledseg.config.experiment import load_experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.published.sipakmed import read_outline
from tiledseg.data.split import group_reader
from tiledseg.errors import TiledsegError
from tiledseg.images.hashing import hash_content
from tiledseg.images.label_files import read_labels
from tiledseg.images.mapped import map_array
from tiledseg.images.opening import open_slide, slide_shape
from tiledseg.images.reading import (
    read_as_stored,
    read_header,
    read_image,
    read_indices,
    read_mask,
    read_pages,
    read_pixel_size,
)
from tiledseg.legacy import import_config
from tiledseg.prediction.journal import JournaledWorkplace
from tiledseg.tracking.outbox import Outbox
from tiledseg.training.replay import parse_rates
from tiledseg.tuning.search.space import load_space

_LABELS = DatasetSettings(name="Any", mask_form="labels", classes=["none", "cell"])
_COLORS = DatasetSettings(
    name="Any", mask_form="colors", classes=["none", "cell"], mask_colors=["#000000", "#ffffff"]
)


def read_regions(path: Path) -> None:
    slide = open_slide(path)
    try:
        height, width, _ = slide.shape
        for top in (0, height // 2):
            slide.read((slice(top, min(top + 64, height)), slice(0, min(64, width))))
    finally:
        slide.close()


def read_groups(path: Path) -> None:
    group_of = group_reader(SplitSettings(group_file=path.name), path.parent)
    assert group_of is not None
    group_of("a")


def go_on_predicting(path: Path) -> None:
    """``path`` is the folder of an unfinished prediction; another one lies beside it."""
    place = JournaledWorkplace(path.parent, "a", {"model": "a"}, (64, 64))
    place.finished_tiles()
    place.leave()


def map_pixels(path: Path) -> None:
    """A damaged entry of the cache is made anew."""
    try:
        map_array(path)
    except (OSError, ValueError):
        return


def read_model(path: Path) -> None:
    from tiledseg.prediction.predictor import Predictor

    Predictor.load(path)


def read_state(path: Path) -> None:
    from tiledseg.training.session import read_session

    read_session(path)


def each(*reads: Callable[[Path], object]) -> Callable[[Path], None]:
    """All readers, whatever the first of them says; the last refusal stands."""

    def read(path: Path) -> None:
        refusal: TiledsegError | None = None
        for one in reads:
            try:
                one(path)
            except TiledsegError as error:
                refusal = error
        if refusal is not None:
            raise refusal

    return read


def cache_pixels(path: Path) -> None:
    PixelCache(Path(os.environ["TILEDSEG_CACHE"])).image(path, ImageSettings())


READERS: dict[str, Callable[[Path], object]] = {
    "image": each(
        read_header, read_image, read_mask, read_as_stored, read_indices, read_pages,
        read_regions, slide_shape, read_pixel_size, hash_content, cache_pixels,
        lambda path: read_labels(path, _LABELS), lambda path: read_labels(path, _COLORS),
    ),
    "experiment": load_experiment,
    "space": load_space,
    "groups": read_groups,
    "config": import_config,
    "rates": lambda path: parse_rates(path.read_text(errors="replace"), str(path)),
    "journal": go_on_predicting,
    "layout": prepare,
    "pixels": map_pixels,
    "outline": read_outline,
    "outbox": lambda path: Outbox(path).entries(),
    "state": read_state,
    "model": read_model,
}  # fmt: skip


def main() -> None:
    from tiledseg.backend import load_backend

    load_backend()
    read_model(Path(sys.argv[1]))  # what every reading of a network needs is held before
    answer("ready", "")
    for line in sys.stdin:
        asked = json.loads(line)
        outcome, message = "opened", ""
        try:
            READERS[asked["reader"]](Path(asked["path"]))
        except TiledsegError as error:
            outcome, message = "refused", str(error)
        except BaseException as error:  # noqa: BLE001 - what must not happen is what is looked for
            outcome, message = "foreign", f"{type(error).__name__}: {error}"
        answer(outcome, message)


def answer(outcome: str, message: str) -> None:
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = {"outcome": outcome, "message": message[:2000], "length": len(message), "held": held}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
