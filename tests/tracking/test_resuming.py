"""Which run is resumed, and which settings may be others."""

import mlflow
import pytest
from stores import on_every_store

from tiledseg.errors import ExperimentError, TrackingError
from tiledseg.tracking.names import KIND_TAG
from tiledseg.tracking.resuming import find_last, plan_resumption
from tiledseg.tracking.runs import open_run

pytestmark = on_every_store


@pytest.fixture
def stopped(tiny_experiment):
    with pytest.raises(KeyboardInterrupt), open_run(tiny_experiment(), "train") as run:
        run.log_experiment(tiny_experiment())
        raise KeyboardInterrupt
    return run.run_id


@pytest.mark.parametrize(
    "key",
    [
        "training.epochs=9",
        "training.max_minutes=3",
        "tracking.checkpoints=5",
        "evaluation.seam_images=0",
        "training.epoch_pictures=0",
    ],
)
def test_what_does_not_change_the_numbers_so_far_may_change(stopped, tiny_experiment, key):
    plan = plan_resumption(stopped, [key])
    assert (plan.run_id, plan.parent) == (stopped, "")
    name, _, value = key.partition("=")
    assert plan.experiment == tiny_experiment().override(
        {name: type(tiny_experiment().flatten()[name] or 0.0)(float(value))}
    )


@pytest.mark.parametrize("key", ["training.seed=1", "model.base_filters=2", "image.size=64"])
def test_other_settings_are_refused_by_name(stopped, key):
    with pytest.raises(ExperimentError, match=f"--set {key.partition('=')[0]} would change"):
        plan_resumption(stopped, [key])


def test_a_finished_run_goes_on_in_another_where_there_is_more_to_train(tiny_experiment):
    with open_run(tiny_experiment(), "train") as run:
        run.log_experiment(tiny_experiment())
    with pytest.raises(TrackingError, match="is FINISHED and stays as it is"):
        plan_resumption(run.run_id)
    plan = plan_resumption(run.run_id, ["training.epochs=9"])
    assert (plan.run_id, plan.parent) == (None, run.run_id)


def test_the_last_is_the_newest_training_that_was_stopped(stopped, tiny_experiment):
    client = mlflow.MlflowClient()
    experiment_id = client.get_experiment_by_name("Tiny").experiment_id
    for kind, status in (("evaluate", "KILLED"), ("train", "FINISHED")):
        run = client.create_run(experiment_id, tags={KIND_TAG: kind})
        client.set_terminated(run.info.run_id, status)
    assert find_last("Tiny") == stopped
    for name in ("Nobody", "Default"):
        with pytest.raises(TrackingError, match="no training that can be resumed"):
            find_last(name)
