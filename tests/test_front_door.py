"""What the README promises: ``mlflow run``, from nothing to a served model, on tiny settings."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import mlflow
import numpy as np
import pandas as pd
import pytest
from house import HOUSE_EXPERIMENTS

from tiledseg import build_model, train
from tiledseg.config.experiment import load_experiment
from tiledseg.data.published.catalog import CATALOG
from tiledseg.evaluation.scores import SCORES

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"
EPOCH_METRICS = {"loss", "val_loss", "dice_coef", "val_dice_coef", "learning_rate"}
TINY = {
    "dataset.synthetic": "{seed: 1, size: 200, train: 3, valid: 1, test: 2}",
    "image.size": 64,
    "model.base_filters": 4,
    "model.num_layers": 3,
    "tiling.max_tile": 128,
    "training.epochs": 2,
    "training.steps_per_epoch": 6,
    "training.batch_size": 2,
}


class Place(NamedTuple):
    """Where a command ran, and what it left."""

    folder: Path
    environment: dict[str, str]

    @property
    def store(self) -> str:
        return self.environment["MLFLOW_TRACKING_URI"]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TILEDSEG_DATA": str(folder / "data"),
        "TILEDSEG_CACHE": str(folder / "cache"),
        "TILEDSEG_STATE": str(folder / "state"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_ARTIFACT_ROOT": str(folder / "artifacts"),
    }
    return Place(folder, environment)


@pytest.fixture(scope="module")
def project_run(place):
    """``mlflow run`` of the project, as ``make run`` starts it but for tiny settings."""
    settings = " ".join(f'"{key}={value}"' for key, value in TINY.items())
    command = ["mlflow", "run", str(PROJECT), "--env-manager", "local"]
    done = place.run(*command, "-P", "dataset=Synthetic-Cell", "-P", f"set={settings}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def client(place, project_run):
    mlflow.set_tracking_uri(place.store)
    return mlflow.MlflowClient()


@pytest.fixture
def run(client):
    experiment = client.get_experiment_by_name("Synthetic-Cell")
    (found,) = client.search_runs([experiment.experiment_id], "tags.`tiledseg.kind` = 'train'")
    return found


def files_of(client, run, path=""):
    found = []
    for item in client.list_artifacts(run.info.run_id, path):
        found += files_of(client, run, item.path) if item.is_dir else [item.path]
    return found


def planned_by(target):
    return subprocess.run(
        ["make", "--dry-run", target], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout


def test_make_run_starts_what_is_tested_here():
    planned = planned_by("run")
    assert re.search(r"mlflow run \. --env-manager local -P dataset=Synthetic-Cell\n", planned)


def test_ci_leaves_no_test_out():
    targets = re.findall(r"^make (\w+)$", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE)
    planned = "".join(map(planned_by, targets))
    assert "check" in targets
    assert sorted(re.findall(r'pytest .* -m ("[^"]+"|\w+)\n', planned)) == [
        '"not soak and not soak_long"',
        '"soak and not soak_long"',
    ]


def test_every_run_is_finished(client, run):
    runs = mlflow.search_runs(search_all_experiments=True)
    assert set(runs["status"]) == {"FINISHED"}
    (launcher,) = client.search_runs(["0"])
    assert launcher.data.tags["tiledseg.run_id"] == run.info.run_id


def test_parameters_are_the_resolved_experiment(run):
    assert run.data.params["model.base_filters"] == "4"
    assert run.data.params["dataset.synthetic.size"] == "200"
    assert run.data.params["training.loss"] == "bce_dice"


def test_metrics_are_those_of_the_contract(client, run):
    assert set(run.data.metrics) >= EPOCH_METRICS
    for name in EPOCH_METRICS:
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, name)]
        assert steps == [1, 2], name
    wanted = {
        f"{split}/{mode}/{score}"
        for split in ("valid", "test")
        for mode in ("tiled", "resized")
        for score in (*SCORES, "seconds_per_megapixel")
    }
    wanted |= {f"{split}/seam/gradient_ratio" for split in ("valid", "test")}
    wanted |= {f"{split}/seam/max_difference" for split in ("valid", "test")}
    wanted |= {f"{split}/seam/gradient_against_single_pass" for split in ("valid", "test")}
    assert set(run.data.metrics) >= wanted
    assert run.data.metrics["test/seam/max_difference"] <= 1e-5
    assert run.data.metrics["test/seam/flipped_labels"] == 0
    assert run.data.metrics["test/seam/gradient_against_single_pass"] == pytest.approx(
        1.0, abs=1e-4
    )


def test_pictures_tables_and_files_are_those_of_the_contract(client, run, place):
    files = files_of(client, run)
    data = place.folder / "data" / "Synthetic-Cell"
    for split in ("valid", "test"):
        images = sorted((data / split / "images").iterdir())
        assert images
        for image in images:
            for mode in ("tiled", "resized", "target"):
                assert f"predictions/{split}/{mode}/{image.stem}.png" in files
            assert f"predictions/{split}/image/{image.name}" in files
            assert f"comparison/{split}/{image.stem}.png" in files
    wanted = {"experiment.yaml", "curves/history.csv", "curves/curves.png", "scores.csv"}
    assert wanted | {"scores.json"} <= set(files)
    epochs = [name for name in files if name.startswith("images/") and name.endswith(".png")]
    assert len(epochs) == 2 * 2
    inputs = {item.dataset.name for item in run.inputs.dataset_inputs}
    assert inputs == {f"Synthetic-Cell/{split}" for split in ("train", "valid", "test")}


def test_logged_experiment_trains_the_same_again(client, run):
    path = client.download_artifacts(run.info.run_id, "experiment.yaml")
    experiment = load_experiment(Path(path))
    logged = {key: str(value) for key, value in experiment.flatten().items()}
    assert logged == run.data.params


def test_logged_predictions_give_the_logged_scores(client, run):
    folder = Path(client.download_artifacts(run.info.run_id, "predictions/test"))
    table = pd.read_csv(client.download_artifacts(run.info.run_id, "scores.csv"))
    for row in table[table["split"] == "test"].itertuples():
        target = cv2.imread(str(folder / "target" / f"{row.image}.png"), cv2.IMREAD_UNCHANGED) > 127
        level = cv2.imread(str(folder / row.mode / f"{row.image}.png"), cv2.IMREAD_UNCHANGED)
        prediction = level / 255 >= 0.5
        total = target.sum() + prediction.sum()
        assert row.dice == pytest.approx(2 * (target & prediction).sum() / total if total else 1.0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the scorer is not part of the project")
def test_an_outside_scorer_agrees_to_four_digits(client, run, place):
    folder = Path(client.download_artifacts(run.info.run_id, "predictions/test"))
    target = place.folder / "data" / "Synthetic-Cell" / "test" / "masks"
    scorer = SHARED / "tools" / "score_masks.py"
    for mode in ("tiled", "resized"):
        shown = place.run(sys.executable, str(scorer), str(target), str(folder / mode)).stdout
        names = ("dice", "iou", "precision", "recall")
        theirs = re.search(r"mean of 2:(.*)", shown).group(1)
        ours = "  ".join(f"{name} {run.data.metrics[f'test/{mode}/{name}']:.4f}" for name in names)
        assert theirs.strip() == ours


def test_the_screen_ends_with_scores_where_to_look_and_what_next(project_run):
    shown = project_run.stdout
    assert re.search(r"epoch +2/2 .*val_dice.*left", shown)
    assert re.search(r"test +│ dice +│ +0\.\d{4} │ +\d+ │ +0\.\d{4} │ +\d+", shown)
    assert "mlflow ui --backend-store-uri" in shown
    command = "tiledseg predict --model models:/Synthetic-Cell@champion"
    assert command in shown.strip().splitlines()[-1]
    assert "Warning" not in project_run.stderr


def test_the_model_is_registered_with_both_aliases(client, run):
    for alias in ("champion", "latest-trained"):
        version = client.get_model_version_by_alias("Synthetic-Cell", alias)
        assert version.run_id == run.info.run_id


@pytest.mark.soak
def test_served_and_predicted_masks_are_the_same_from_anywhere(place, run):
    images = place.folder / "data" / "Synthetic-Cell" / "test" / "images"
    image = sorted(images.iterdir())[0]
    done = place.run(
        "tiledseg", "predict", "--model", "models:/Synthetic-Cell@champion",
        "--images", str(images), "--output", "masks", "--overlay",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code = (
        "import sys, cv2, mlflow\n"
        "model = mlflow.pyfunc.load_model('models:/Synthetic-Cell@champion')\n"
        "image = cv2.cvtColor(cv2.imread(sys.argv[1]), cv2.COLOR_BGR2RGB)\n"
        "cv2.imwrite('served.png', model.predict(image))\n"
    )
    served = place.run(sys.executable, "-c", code, str(image))
    assert served.returncode == 0, served.stderr
    ours = cv2.imread(str(place.folder / "masks" / f"{image.stem}.png"), cv2.IMREAD_UNCHANGED)
    theirs = cv2.imread(str(place.folder / "served.png"), cv2.IMREAD_UNCHANGED)
    assert ours.shape == (200, 200)
    assert set(np.unique(ours)) <= {0, 255}
    assert np.array_equal(ours, theirs)
    assert (place.folder / "masks" / "overlay" / f"{image.stem}.png").exists()


@pytest.mark.soak
def test_a_fault_under_mlflow_run_leaves_no_run_open(place, project_run):
    command = ["mlflow", "run", str(PROJECT), "--env-manager", "local"]
    done = place.run(*command, "-P", "dataset=Synthetic-Cel")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "Synthetic-Cell" in done.stderr
    mlflow.set_tracking_uri(place.store)
    runs = mlflow.search_runs(search_all_experiments=True)
    assert sorted(runs["status"]) == ["FAILED", "FINISHED", "FINISHED"]


TRAINED_ABOVE = {"Synthetic-Cell", "Synthetic-Cell-Classes"}
LIKE_TILED_CELL = {"MultipleMyeloma", "Tiled-Cervical-Cancer", "Tiled-MultipleMyeloma"}
"""Other numbers alone: they are loaded and their networks are built, which takes a second."""


@pytest.mark.parametrize(
    "path",
    [path for path in HOUSE_EXPERIMENTS if path.stem not in TRAINED_ABOVE | LIKE_TILED_CELL],
    ids=lambda p: p.stem,
)
def test_experiments_train_on_tiny_images(path, tiny_dataset):
    small = {
        "image.size": 64,
        "tiling.max_tile": 512,
        "model.base_filters": 2,
        "training.epochs": 1,
        "training.steps_per_epoch": 2,
        "training.batch_size": 1,
        "training.precision": "float32",  # nothing to time: XLA takes longest to compile
        "training.validation_tiles": 2,
        "evaluation.comparison_images": 1,
    }
    experiment = load_experiment(path)
    assert experiment.dataset.name == path.stem
    if experiment.dataset.synthetic:
        small["dataset.synthetic"] = "{seed: 1, size: 96, train: 1, valid: 1, test: 1}"
    else:
        tiny_dataset(name=path.stem, images=(1, 1, 1))
    tiny = load_experiment(path, [f"{key}={value}" for key, value in small.items()])
    result = train(tiny)
    assert result.registration.is_champion
    assert 0 <= result.metrics["test/tiled/dice"] <= 1


@pytest.mark.parametrize("name", sorted(LIKE_TILED_CELL))
def test_experiments_like_another_differ_from_it_in_numbers_alone(name):
    """What decides which code runs is that of Tiled-Cell, which is trained, or of losses' tests."""
    ours, other = (
        load_experiment(PROJECT / "experiments" / f"{n}.yaml") for n in (name, "Tiled-Cell")
    )
    assert ours.dataset.name == name
    chosen, known = ours.flatten(), other.flatten()
    texts = {key for key, value in chosen.items() if isinstance(value, str)}
    differing = {key for key in texts if chosen[key] != known[key]}
    assert differing <= {"dataset.name", "dataset.description", "training.loss"}
    network = build_model(ours.model.model_copy(update={"base_filters": 2}), ours.image.channels)
    side = ours.model.stride * 2
    found = network(np.zeros((1, side, side, ours.image.channels), np.float32))
    assert tuple(found.shape) == (1, side, side, 1)


def test_every_named_dataset_has_an_experiment():
    assert {dataset.name for dataset in CATALOG} <= {path.stem for path in HOUSE_EXPERIMENTS}
