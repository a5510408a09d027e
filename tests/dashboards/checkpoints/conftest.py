"""Every test here has a run with two checkpoints, which was stopped before its evaluation."""

import pytest
from checkpoint_run import make_predictors, make_run


@pytest.fixture
def dataset(own_tables, empty_caches, tiny_dataset):
    """Its folder; two validation images."""
    return tiny_dataset()


@pytest.fixture(scope="module")
def predictors(tiny_experiment):
    """The networks of epoch 1 and 2."""
    return make_predictors(tiny_experiment())


@pytest.fixture
def run_id(dataset, predictors):
    return make_run(predictors[0].experiment, predictors)
