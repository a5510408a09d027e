"""Every test here has an MLflow store: SQLite, or each in turn where its file says so."""

import mlflow
import pytest
from store_filling import add_run

from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.names import CHAMPION


@pytest.fixture(autouse=True)
def _ready_store(mlflow_store):
    pass


@pytest.fixture
def client():
    return mlflow.MlflowClient()


@pytest.fixture
def versions(client):
    """Three versions, the second the best, the last without a score."""
    client.create_registered_model("Tiny")
    run = add_run(client)
    for dice in (0.5, 0.9, None):
        tags = ValidationScore(dice, 2, ("foreground",)).tags()
        client.create_model_version("Tiny", f"runs:/{run}/model", run, tags=tags)
    client.set_registered_model_alias("Tiny", CHAMPION, "1")
