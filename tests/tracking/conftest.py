"""Every test here has an MLflow store."""

import pytest


@pytest.fixture(autouse=True)
def _ready_store(own_tables):
    pass
