"""Where the validation images of a run are."""

import shutil

import mlflow
import numpy as np
import pytest
from checkpoint_run import make_run

from dashboards.checkpoints.validation_images import digests_of, find_image
from dashboards.store import predictions_of
from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.errors import DatasetError
from tiledseg.evaluation.evaluate import evaluate_images
from tiledseg.images.reading import read_image, read_mask
from tiledseg.images.writing import write_image
from tiledseg.tracking.evaluation_files import write_evaluation


@pytest.fixture
def evaluated(dataset, run_id, predictors, tmp_path):
    """The run, with what an evaluation leaves in it."""
    experiment = predictors[0].experiment
    samples = load_dataset(experiment.dataset, data_root()).splits["valid"]
    for item in evaluate_images(predictors[0], samples, "valid", experiment):
        write_evaluation(tmp_path / "files", item, with_image=True, with_sheet=False)
    mlflow.MlflowClient().log_artifacts(run_id, str(tmp_path / "files"))
    predictions_of.clear()
    return run_id


def test_the_run_says_which_they_are(run_id):
    assert list(digests_of(run_id)) == ["disc4", "disc5"]


def test_two_runs_on_the_same_images_have_the_same_digests(run_id, dataset, predictors):
    again = make_run(predictors[0].experiment, [])
    assert digests_of(again) == digests_of(run_id)
    image = dataset / "valid" / "images" / "disc4.png"
    write_image(image, 255 - read_image(image))
    other = make_run(predictors[0].experiment, [])
    assert digests_of(other) != digests_of(run_id)


def test_a_run_that_ended_before_it_had_a_dataset_has_none(run_id):
    client = mlflow.MlflowClient()
    tags = {"tiledseg.format": client.get_run(run_id).data.tags["tiledseg.format"]}
    assert digests_of(client.create_run("1", tags=tags).info.run_id) == {}


def test_before_the_evaluation_they_are_those_of_the_dataset_here(dataset, run_id):
    found = find_image(run_id, "disc4")
    assert found.image == dataset / "valid" / "images" / "disc4.png"
    mask = dataset / "valid" / "masks" / "disc4.png"
    assert np.array_equal(found.read_target(), read_mask(mask))


def test_afterwards_they_are_the_copies_of_the_run(dataset, evaluated):
    target = read_mask(dataset / "valid" / "masks" / "disc4.png")
    shutil.rmtree(dataset)
    found = find_image(evaluated, "disc4")
    assert evaluated in str(found.image)
    assert np.array_equal(found.read_target(), target)


def test_a_machine_without_the_dataset_says_so(dataset, run_id):
    shutil.rmtree(dataset)
    with pytest.raises(DatasetError, match=r"not at hand on this machine.*set TILEDSEG_DATA"):
        find_image(run_id, "disc4")


def test_other_images_of_the_same_name_are_refused(dataset, run_id):
    image = dataset / "valid" / "images" / "disc4.png"
    write_image(image, 255 - read_image(image))
    with pytest.raises(DatasetError, match=r"disc4\.png or its mask is not what the run"):
        find_image(run_id, "disc4")
    assert find_image(run_id, "disc5").image.name == "disc5.png"


def test_an_image_that_is_gone_is_named(dataset, run_id):
    for folder in ("images", "masks"):
        (dataset / "valid" / folder / "disc4.png").unlink()
    with pytest.raises(DatasetError, match="valid holds no image 'disc4'"):
        find_image(run_id, "disc4")


def test_a_drawn_dataset_that_is_not_here_is_not_drawn(
    own_tables, empty_caches, tiny_experiment, predictors
):
    drawing = {"seed": 1, "size": 96, "train": 2, "valid": 1, "test": 1}
    run_id = make_run(tiny_experiment(dataset={"synthetic": drawing}), [])
    stem = next(iter(digests_of(run_id)))
    shutil.rmtree(data_root() / "Tiny")
    with pytest.raises(DatasetError, match="not at hand"):
        find_image(run_id, stem)
    assert not (data_root() / "Tiny").exists()
