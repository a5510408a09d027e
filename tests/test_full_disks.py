"""A full disk at every place that commands write to: one line, and nothing is lost."""

import os
import re
import shutil
import zipfile
from pathlib import Path

import cv2
import mlflow
import pytest
from command_process import end_command, start_command
from discs import draw_discs
from small_disk import SmallDisk

from tiledseg.images.writing import write_image
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking.files import RunFiles

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("own_tables")]

FULL = "No space left on device"
IMPATIENT = {"tiledseg.tracking.runs:PATIENCE_SECONDS": 2.0}


@pytest.fixture
def small_disk():
    """Makes small disks; removed afterwards."""
    made = []

    def make(place: Path, **size: float) -> SmallDisk:
        made.append(SmallDisk(place, **size))
        return made[-1]

    yield make
    for disk in made:
        disk.remove()


@pytest.fixture
def run(tmp_path):
    """Runs a command on some disk; returns what it says, and looks at how it ends."""
    count = 0

    def call(*words, disk, code=0, folder=tmp_path, patches=None, **environment):
        nonlocal count
        count += 1
        log = tmp_path / f"said-{count}.txt"
        process = start_command(
            list(map(str, words)), folder, log, patches, disk.holder, environment
        )
        ended = end_command(process)
        said = log.read_text()
        assert ended == code, said
        assert "Traceback" not in said
        if code:
            errors = [line for line in said.splitlines() if line.startswith("tiledseg: ")]
            assert len(errors) == 1 and said.splitlines()[-1] == errors[0], said
        return said

    return call


@pytest.fixture
def experiment(tmp_path, tiny_experiment, tiny_dataset):
    tiny_dataset(size=64)
    path = tmp_path / "Tiny.yaml"
    path.write_text(tiny_experiment(training={"steps_per_epoch": 2}).to_yaml())
    return path


@pytest.fixture
def slides(tmp_path):
    for number in range(6):
        write_image(tmp_path / "slides" / f"s{number}.png", draw_discs(number, 160)[0])
    return tmp_path / "slides"


@pytest.fixture
def model(tmp_path, tiny_experiment):
    experiment = tiny_experiment(model={"base_filters": 2})
    folder = tmp_path / "model"
    folder.mkdir()
    Predictor(build_model(experiment.model, 3), experiment).save(folder)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".ballast"
    }


def only_run():
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return run


def assert_whole(run_id: str) -> None:
    """FINISHED with a version, every epoch once, and the files."""
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    history = mlflow.MlflowClient().get_metric_history(run_id, "val_dice")
    assert [each.step for each in history] == [1, 2]
    assert len(mlflow.MlflowClient().search_model_versions("name = 'Tiny'")) == 1
    files = RunFiles(run_id)
    for name in ("scores.csv", "experiment.yaml", "curves/history.csv"):
        assert files.path(name).stat().st_size > 0


@pytest.mark.parametrize("large", [50.0, 0.001], ids=["in memory", "streamed"])
def test_output_of_predictions(run, small_disk, slides, model, tmp_path, large):
    disk = small_disk(tmp_path / "masks")
    patches = {"tiledseg.prediction.job:LARGE": large}
    words = ["predict", "--model", model, "--images", slides, "--objects", "--overlay"]
    run(*words, "--output", tmp_path / "whole", disk=disk, patches=patches)
    whole = files_in(tmp_path / "whole")
    room = sum(map(len, whole.values()))
    for share in (0.0, 0.2, 0.5):
        disk.fill(int(share * room))
        said = run(
            *words, "--output", tmp_path / "masks", "--skip-existing",
            disk=disk, code=1, patches=patches,
        )  # fmt: skip
        assert FULL in said
        named = {
            name: data for name, data in files_in(disk.seen).items() if not name.startswith(".")
        }
        assert named.items() <= whole.items()
    disk.clear()
    run(
        *words, "--output", tmp_path / "masks", "--skip-existing",
        disk=disk, patches=patches,
    )  # fmt: skip
    assert files_in(disk.seen) == whole


def test_a_new_dataset(run, small_disk, experiment, tmp_path):
    words = ["prepare", "--experiment", experiment, "--into", "Cut", "--tile", "32"]
    data = Path(os.environ["TILEDSEG_DATA"])
    disk = small_disk(data)
    run(*words, disk=disk)
    whole = files_in(disk.seen / "Cut")
    shutil.rmtree(disk.seen / "Cut")
    for left in (0, 40_000, 150_000):
        disk.fill(left)
        assert FULL in run(*words, disk=disk, code=1)
        if left:
            said = run("check", "Cut", disk=disk, code=1)
            assert re.search(r"is unfinished.*`tiledseg prepare .*--into Cut.*` goes on", said)
    disk.clear()
    run(*words, disk=disk)
    assert files_in(disk.seen / "Cut") == whole


def test_an_archive_and_what_is_made_of_it(run, small_disk, tmp_path):
    home = tmp_path / "downloads"
    home.mkdir()
    with zipfile.ZipFile(home / "im_Metaplastic.zip", "w") as packed:
        for number in range(8):
            image = cv2.imencode(".bmp", draw_discs(number, 96)[0])[1].tobytes()
            packed.writestr(f"im_Metaplastic/{number:03d}.bmp", image)
            packed.writestr(f"im_Metaplastic/{number:03d}_cyt01.dat", "10,10\n40,10\n40,50\n")
    disk = small_disk(home)
    words = ["datasets", "convert", "Tiled-Cervical-Cancer", "--from", home / "im_Metaplastic.zip"]
    for left in (0, 60_000):
        disk.fill(left)
        assert FULL in run(*words, disk=disk, code=1)
        assert {path.name for path in disk.seen.iterdir()} <= {
            ".ballast", "im_Metaplastic", "im_Metaplastic.zip"
        }  # fmt: skip
    disk.clear()
    run(*words, disk=disk)
    assert len(list((disk.seen / "im_Metaplastic").rglob("*.bmp"))) == 8
    made = Path(os.environ["TILEDSEG_DATA"]) / "Tiled-Cervical-Cancer"
    assert len(list(made.rglob("images/*.png"))) == 8


def test_the_cache(run, small_disk, experiment):
    disk = small_disk(Path(os.environ["TILEDSEG_CACHE"]))
    disk.fill(20_000)
    said = run("prepare", "--experiment", experiment, disk=disk, code=1)
    assert FULL in said and "TILEDSEG_CACHE" in said
    disk.clear()
    run("prepare", "--experiment", experiment, disk=disk)
    assert not [path for path in disk.seen.iterdir() if path.name.startswith(".")]


def test_reports(run, small_disk, experiment, tmp_path):
    disk = small_disk(tmp_path / "reports")
    disk.fill(0)
    for option, name in (("--html", "a.html"), ("--json", "a.json"), ("--preview", "a.png")):
        said = run("check", "Tiny", option, tmp_path / "reports" / name, disk=disk, code=1)
        assert FULL in said
    assert [path.name for path in disk.seen.iterdir()] == [".ballast"]


@pytest.mark.parametrize("left", [0, 60_000, 400_000])
def test_the_state_of_a_training(run, small_disk, experiment, left):
    """The run is gone on with, from its last state or from the beginning."""
    disk = small_disk(Path(os.environ["TILEDSEG_STATE"]))
    disk.fill(left)
    said = run("train", "--experiment", experiment, disk=disk, code=1)
    assert FULL in said and "TILEDSEG_STATE" in said
    run_id = only_run().info.run_id
    assert only_run().info.status == "FAILED"
    disk.clear()
    if left:
        run("train", "--resume", run_id, disk=disk)
    else:  # it could not even keep its settings
        said = run("train", "--resume", run_id, disk=disk, code=1)
        assert "start a new training" in said
        mlflow.delete_run(run_id)
        run("train", "--experiment", experiment, disk=disk)
    assert_whole(only_run().info.run_id)


def test_artifacts(run, small_disk, experiment, tmp_path):
    work = tmp_path / "work"
    disk = small_disk(work)
    disk.fill(0)
    said = run(
        "train", "--experiment", experiment, disk=disk, code=1, folder=work, patches=IMPATIENT
    )
    assert FULL in said and "make room" in said
    client = mlflow.MlflowClient()
    client.delete_run(only_run().info.run_id)
    disk.fill(60_000)
    said = run(
        "train", "--experiment", experiment, disk=disk, code=75, folder=work, patches=IMPATIENT
    )
    assert "is full" in said
    run_id = only_run().info.run_id
    assert f"`tiledseg sync {run_id}` sends it" in said
    disk.clear()
    run("sync", run_id, disk=disk, folder=work)
    shutil.copytree(disk.seen / "mlruns", work / "mlruns")
    assert_whole(run_id)


def test_the_database(run, small_disk, experiment, tmp_path):
    home = tmp_path / "database"
    home.mkdir()
    (tmp_path / "mlflow.db").rename(home / "mlflow.db")
    disk = small_disk(home)
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}"}
    disk.fill(0)
    said = run("train", "--experiment", experiment, disk=disk, code=1, **store)
    assert "disk is full" in said and "make room" in said
    disk.fill(60_000)
    said = run("train", "--experiment", experiment, disk=disk, code=75, patches=IMPATIENT, **store)
    run_id = re.search(r"`tiledseg sync (\w+)` sends it", said)[1]
    disk.clear()
    run("sync", run_id, disk=disk, **store)
    shutil.copy(disk.seen / "mlflow.db", home)
    mlflow.set_tracking_uri(store["MLFLOW_TRACKING_URI"])
    assert_whole(run_id)


def test_the_storage_of_a_search(run, small_disk, experiment, tmp_path):
    disk = small_disk(tmp_path / "storage")
    disk.fill(0)
    storage = f"sqlite:///{tmp_path / 'storage' / 'sweeps.db'}"
    space = tmp_path / "space.yaml"
    space.write_text(
        "parameters:\n  training.learning_rate: {type: float, low: 0.001, high: 0.1}\n"
    )
    said = run(
        "sweep", "--experiment", experiment, "--space", space, "--storage", storage,
        disk=disk, code=1,
    )  # fmt: skip
    assert "full" in said or FULL in said
    assert "make room" in said


def test_temporary_files(run, small_disk, experiment, slides, tmp_path):
    disk = small_disk(tmp_path / "temporary")
    disk.fill(12_000)
    place = {"TMPDIR": str(tmp_path / "temporary")}
    said = run("train", "--experiment", experiment, disk=disk, code=1, **place)
    assert FULL in said and "TMPDIR" in said
    disk.clear()
    run_id = only_run().info.run_id
    run("train", "--resume", run_id, disk=disk, **place)
    assert_whole(run_id)
    disk.fill(12_000)
    words = ["predict", "--model", "Tiny", "--images", slides, "--output", tmp_path / "masks"]
    said = run(*words, disk=disk, code=1, **place)
    assert "no room for model 'Tiny'" in said and "TMPDIR" in said
    disk.clear()
    run(*words, disk=disk, **place)
    assert len(list((tmp_path / "masks").iterdir())) == 6


class TestReadOnly:
    """A place that nobody may write to is named, and what only reads goes on."""

    def test_outputs(self, run, small_disk, slides, model, tmp_path):
        disk = small_disk(tmp_path / "masks")
        disk.lock(read_only=True)
        said = run(
            "predict", "--model", model, "--images", slides, "--output", tmp_path / "masks",
            disk=disk, code=1,
        )  # fmt: skip
        assert "Read-only file system" in said and str(tmp_path / "masks") in said
        assert list(disk.seen.iterdir()) == []

    def test_a_data_root_is_read_and_not_written(self, run, small_disk, experiment):
        disk = small_disk(Path(os.environ["TILEDSEG_DATA"]))
        disk.lock(read_only=True)
        run("prepare", "--experiment", experiment, disk=disk)
        said = run(
            "prepare", "--experiment", experiment, "--into", "Cut", "--tile", "32",
            disk=disk, code=1,
        )  # fmt: skip
        assert "Read-only file system" in said

    def test_a_cache_that_is_filled_is_enough(self, run, small_disk, experiment):
        disk = small_disk(Path(os.environ["TILEDSEG_CACHE"]))
        disk.lock(read_only=True)
        said = run("prepare", "--experiment", experiment, disk=disk, code=1)
        assert "Read-only file system" in said and "TILEDSEG_CACHE" in said
        disk.lock(read_only=False)
        run("prepare", "--experiment", experiment, disk=disk)
        disk.lock(read_only=True)
        run("prepare", "--experiment", experiment, disk=disk)

    @pytest.mark.parametrize("variable", ["TILEDSEG_STATE", "database"])
    def test_state_and_database(self, run, small_disk, experiment, tmp_path, variable):
        if variable == "database":
            home = tmp_path / "database"
            home.mkdir()
            (tmp_path / "mlflow.db").rename(home / "mlflow.db")
            place = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}"}
        else:
            home, place = Path(os.environ[variable]), {}
        disk = small_disk(home)
        disk.lock(read_only=True)
        said = run("train", "--experiment", experiment, disk=disk, code=1, **place)
        assert re.search("read-?only", said, re.IGNORECASE)
