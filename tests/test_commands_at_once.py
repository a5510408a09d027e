"""Two commands at one place: one works, and the other waits or says which process is at it."""

import re
import zipfile
from pathlib import Path

import cv2
import pytest
from command_process import end_command, start_command
from discs import draw_discs

from tiledseg.images.writing import write_image
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

pytestmark = [
    pytest.mark.soak,
    pytest.mark.parametrize("pause", [0.0, 0.4, 1.0], ids="after {} s".format),
]

REFUSED = re.compile(r"tiledseg: .*: process \d+ on \S+ is writing it; |tiledseg: .* exists; ")


@pytest.fixture
def run_twice(tmp_path):
    """Runs a command twice at once; returns both exit codes, and looks at what they say."""

    def run(words, pause: float, **options) -> list[int]:
        logs = [tmp_path / f"log-{number}.txt" for number in range(2)]
        for log in logs:
            log.unlink(missing_ok=True)
        first = start_command(words, tmp_path, logs[0], **options)
        first.join(pause)
        processes = [first, start_command(words, tmp_path, logs[1], **options)]
        codes = [end_command(process) for process in processes]
        for code, log in zip(codes, logs, strict=True):
            said = log.read_text()
            assert "Traceback" not in said
            if code:
                errors = [line for line in said.splitlines() if line.startswith("tiledseg: ")]
                assert len(errors) == 1 and REFUSED.match(errors[0]), said
        assert 0 in codes, [log.read_text() for log in logs]
        return codes

    return run


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_predict(run_twice, tmp_path, tiny_experiment, pause):
    experiment = tiny_experiment(model={"base_filters": 2})
    (tmp_path / "model").mkdir()
    Predictor(build_model(experiment.model, 3), experiment).save(tmp_path / "model")
    for number in range(12):
        write_image(tmp_path / "slides" / f"s{number}.png", draw_discs(number, 160)[0])
    words = ["predict", "--model", "model", "--images", "slides", "--objects", "--output"]
    for place in ("alone", "alone-2"):
        assert end_command(start_command([*words, place], tmp_path, tmp_path / "log.txt")) == 0
    assert files_in(tmp_path / "alone") == files_in(tmp_path / "alone-2")
    codes = run_twice([*words, "masks"], pause)
    assert sorted(codes) == [0, 1]
    assert files_in(tmp_path / "masks") == files_in(tmp_path / "alone")
    run_twice([*words, "others", "--skip-existing"], pause)
    assert files_in(tmp_path / "others") == files_in(tmp_path / "alone")


def test_prepare(run_twice, tmp_path, tiny_dataset, tiny_experiment, pause):
    tiny_dataset(images=(12, 4, 4), size=128)
    (tmp_path / "Tiny.yaml").write_text(tiny_experiment().to_yaml())
    words = ["prepare", "--experiment", "Tiny.yaml", "--tile", "64", "--into"]
    assert end_command(start_command([*words, "Alone"], tmp_path, tmp_path / "log.txt")) == 0
    run_twice([*words, "Cut"], pause)
    assert files_in(tmp_path / "data" / "Cut") == files_in(tmp_path / "data" / "Alone")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["Alone", "Cut", "Tiny"]


def test_convert(run_twice, tmp_path, pause):
    archive = tmp_path / "im_Metaplastic.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(60):
            image = cv2.imencode(".bmp", draw_discs(number, 160)[0])[1].tobytes()
            packed.writestr(f"im_Metaplastic/{number:03d}.bmp", image)
            packed.writestr(f"im_Metaplastic/{number:03d}_cyt01.dat", "10,10\n40,10\n40,50\n")
    run_twice(["datasets", "convert", "Tiled-Cervical-Cancer", "--from", str(archive)], pause)
    made = tmp_path / "data" / "Tiled-Cervical-Cancer"
    assert len(list(made.rglob("images/*.png"))) == len(list(made.rglob("masks/*.png"))) == 60
    assert not list(tmp_path.rglob(".*.lock"))


def test_a_synthetic_dataset_is_drawn_once_and_the_caches_are_filled_once(
    run_twice, tmp_path, tiny_experiment, pause
):
    """Both commands need the data, and both get it."""
    drawn = {"name": "Drawn", "synthetic": {"size": 256, "train": 8, "valid": 2, "test": 2}}
    (tmp_path / "Drawn.yaml").write_text(tiny_experiment(dataset=drawn).to_yaml())
    assert run_twice(["prepare", "--experiment", "Drawn.yaml"], pause) == [0, 0]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["Drawn"]
    assert len(list((tmp_path / "data").rglob("images/*.jpg"))) == 12
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")]
