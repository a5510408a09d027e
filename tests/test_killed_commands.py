"""Commands that are killed at random moments: half is refused, and the same command ends the work.

A few kills of each are in ``make soak``, 100 of all in ``make soak-long``.
"""

import random
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from command_process import end_command, kill_command, start_command
from discs import draw_discs

from tiledseg.config import DatasetSettings
from tiledseg.data.dataset import load_dataset
from tiledseg.errors import DatasetError
from tiledseg.images.writing import write_image
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

FEW, MANY = 3, 20
KILLS = [
    pytest.param(FEW, marks=pytest.mark.soak),
    pytest.param(MANY, marks=[pytest.mark.soak_long, pytest.mark.timeout(3600)]),
]
MOST_IN_A_ROW = 5
"""Kills of one piece of work; then it is left to end, and another is begun."""
MOST_MORE = 20
"""Kills beyond those wanted, on a machine so busy that none has come in the middle yet."""


@dataclass
class Work:
    """A command, and what comes of it.

    Attributes:
        words: The command; ``OUT`` stands for the place of what it makes.
        place: Where that is, by the number of the attempt.
        begin: Lays out what it needs, by the number of the attempt.
        look: Looks at what a kill has left at a place.
        patches: For ``start_command``.
    """

    words: Sequence[str]
    place: Callable[[int], Path]
    begin: Callable[[int], None] = lambda _: None
    look: Callable[[Path], None] = lambda _: None
    patches: dict[str, Any] = field(default_factory=dict)

    def start(self, number: int, folder: Path):
        words = [word.replace("OUT", str(self.place(number).name)) for word in self.words]
        return start_command(words, folder, folder / f"log-{number}.txt", self.patches)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def named_in(folder: Path) -> dict[str, bytes]:
    """Files with final names: neither they nor a folder that they are in is hidden."""
    return {
        name: content
        for name, content in files_in(folder).items()
        if not any(part.startswith(".") for part in name.split("/"))
    }


def check_kills(work: Work, folder: Path, kills: int) -> None:
    """Kill a command so often, and compare what comes of it with what comes undisturbed."""
    work.begin(0)
    assert end_command(work.start(0, folder)) == 0, (folder / "log-0.txt").read_text()
    expected = files_in(work.place(0))
    shutil.rmtree(work.place(0))
    work.begin(0)
    began = time.monotonic()
    assert end_command(work.start(0, folder)) == 0
    duration = time.monotonic() - began
    assert files_in(work.place(0)) == expected, "it is not the same each time"

    dice, done, number, left = random.Random(kills), 0, 0, set()
    while done < kills or not (done > kills + MOST_MORE or left - {0, len(expected)}):
        number += 1
        work.begin(number)
        place = work.place(number)
        for _ in range(min(MOST_IN_A_ROW, max(1, kills - done))):
            if not kill_command(work.start(number, folder), dice.uniform(0.0, duration)):
                break
            done += 1
            if place.is_dir():
                half = {name for name, data in named_in(place).items() if data != expected[name]}
                assert not half, f"half of {half} has its final name"
                left.add(len(named_in(place)))
            work.look(place)
        code = end_command(work.start(number, folder))
        assert code == 0, (folder / f"log-{number}.txt").read_text()
        assert files_in(place) == expected
    assert left - {0, len(expected)}, "no kill came in the middle"
    (folder / "kills.txt").write_text(f"{done} of {number} pieces of work, {duration:.1f} s each\n")


@pytest.fixture
def predictor(tiny_experiment, tmp_path):
    """A folder with a network whose masks are not empty."""
    experiment = tiny_experiment(model={"base_filters": 2})
    keras.utils.set_random_seed(1)
    model = build_model(experiment.model, 3)
    *others, bias = model.get_weights()
    model.set_weights([*others, bias - np.quantile(bias, 0.5)])
    folder = tmp_path / "model"
    folder.mkdir()
    Predictor(model, experiment).save(folder)
    return folder


@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize("large", [50.0, 0.001], ids=["in memory", "streamed"])
def test_predict(predictor, tmp_path, kills, large):
    for number in range(24):
        write_image(tmp_path / "slides" / f"s{number}.png", draw_discs(number, 160)[0])
    words = ["predict", "--model", str(predictor), "--images", "slides", "--output", "OUT",
             "--objects", "--overlay", "--skip-existing"]  # fmt: skip
    patches = {
        "tiledseg.prediction.job:LARGE": large,
        "tiledseg.tiling.execution.streaming:BATCH_PIXELS": 2 * 64 * 64,
    }
    work = Work(words, lambda number: tmp_path / f"masks{number}", patches=patches)
    check_kills(work, tmp_path, kills)


def refuse_half(place: Path) -> None:
    """What a kill left of a dataset is the whole, or is not read."""
    if not (place / "manifest.csv").is_file():
        with pytest.raises(DatasetError, match=r"is unfinished.*goes on|does not exist"):
            load_dataset(DatasetSettings(name=place.name), place.parent)


@pytest.mark.parametrize("kills", KILLS)
def test_prepare(tiny_dataset, tiny_experiment, tmp_path, kills):
    root = tmp_path / "data"
    tiny_dataset(root, images=(24, 4, 4), size=128)
    (tmp_path / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    words = ["prepare", "--experiment", "Tiny.yaml", "--into", "OUT", "--tile", "32", "--overlap",
             "8", "--reduce", "64", "--augment", "1"]  # fmt: skip
    work = Work(words, lambda number: root / f"Cut{number}", look=refuse_half)
    check_kills(work, tmp_path, kills)


@pytest.mark.parametrize("kills", KILLS)
def test_convert(tmp_path, kills):
    archive = tmp_path / "im_Metaplastic.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(160):
            image = cv2.imencode(".bmp", draw_discs(number, 160)[0])[1].tobytes()
            packed.writestr(f"im_Metaplastic/{number:03d}.bmp", image)
            outline = "10,10\n40,10\n40,50\n10,50\n"
            packed.writestr(f"im_Metaplastic/{number:03d}_cyt01.dat", outline)
    root = tmp_path / "data"
    made = root / "Tiled-Cervical-Cancer"
    homes = [tmp_path / "im_Metaplastic"]

    def begin(_: int) -> None:
        for folder in (made, *homes):
            shutil.rmtree(folder, ignore_errors=True)

    def look(place: Path) -> None:
        refuse_half(place)
        for home in filter(Path.is_dir, homes):
            for path in filter(Path.is_file, home.rglob("*")):
                if ".unfinished" not in path.parts:
                    with zipfile.ZipFile(archive) as packed:
                        name = path.relative_to(home).as_posix()
                        assert path.read_bytes() == packed.read(name)

    words = ["datasets", "convert", "Tiled-Cervical-Cancer", "--from", str(archive)]
    check_kills(Work(words, lambda _: made, begin, look), tmp_path, kills)
