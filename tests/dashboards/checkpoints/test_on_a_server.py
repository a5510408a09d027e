"""Checkpoints of a run on a tracking server, which keeps the files itself."""

import mlflow
import numpy as np
import pytest
from checkpoint_page import click, labels, open_checkpoint
from checkpoint_run import make_predictors, make_run
from mlflow_server import MlflowServer
from page_script import read_words

from dashboards.checkpoints.checkpoint_table import network_of
from dashboards.checkpoints.mask_store import find_masks
from dashboards.masks import read_labels
from tiledseg.images.reading import read_image
from tiledseg.tracking.checkpoint_summaries import read_checkpoints
from tiledseg.tracking.names import CHAMPION
from tiledseg.tracking.registry import load_predictor

pytestmark = pytest.mark.soak


@pytest.fixture
def server(tmp_path, mlflow_tables, empty_caches):
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(mlflow_tables.read_bytes())
    running = MlflowServer(folder)
    running.start()
    mlflow.set_tracking_uri(running.address)
    yield running
    running.stop()


def test_masks_are_opened_and_a_checkpoint_is_promoted(server, tiny_dataset, tiny_experiment):
    image = tiny_dataset() / "valid" / "images" / "disc4.png"
    predictors = make_predictors(tiny_experiment())
    predictors[0] = predictors[0].replace(threshold=0.45)
    run_id = make_run(predictors[0].experiment, predictors)
    page = open_checkpoint(run_id)
    assert not page.error
    checkpoint = read_checkpoints(run_id)[1]
    assert checkpoint.epoch == 1
    shown = read_labels(find_masks(network_of(checkpoint), run_id, "disc4").path("tiled")) > 0
    assert np.array_equal(shown, predictors[0].mask(read_image(image)))
    click(page, "Promote epoch 1 to champion")
    assert "with its threshold 0.45, not tuned" in read_words(page)
    assert "Promote" in labels(page)
    click(page, "Promote")
    assert "Epoch 1 is version 1 of Tiny and champion now." in page.success[0].value
    version = mlflow.MlflowClient().get_model_version_by_alias("Tiny", CHAMPION)
    assert version.source == f"models:/{checkpoint.model_id}"
    champion = load_predictor("models:/Tiny@champion")
    assert champion.threshold == 0.45
    assert np.array_equal(champion.mask(read_image(image)), shown)
