"""What a run keeps, as a table."""

import mlflow
import pytest
from checkpoint_run import make_run

from dashboards.checkpoints.checkpoint_table import find_score, network_of, table_of
from dashboards.checkpoints.mask_store import make_masks, score_network
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.checkpoint_summaries import read_checkpoints
from tiledseg.tracking.names import THRESHOLD_TAG
from tiledseg.tracking.promotion import promote_checkpoint
from tiledseg.tracking.queries import read_run, read_versions
from tiledseg.tracking.registry import register


def scored(dice):
    return ValidationScore(dice, 2, ("foreground",))


def cells(run_id):
    """Row to heading to what is written there."""
    columns, rows = table_of(read_run(run_id), read_checkpoints(run_id), read_versions())
    titles = [column.title for column in columns]
    return {row.id: dict(zip(titles, row.values, strict=True)) for row in rows}


def test_every_checkpoint_is_there_with_its_metrics_and_the_best_is_named(run_id):
    found = cells(run_id)
    assert list(found) == ["2, best", "1"]
    assert found["1"] == {
        "val_dice": 0.5,
        "Dice, whole images": None,
        "registered": None,
        "threshold": "0.5, not tuned",
    }


def test_versions_are_named_with_their_score(run_id):
    register(
        mlflow.MlflowClient(), "Tiny", read_checkpoints(run_id)[0].model_id, run_id, scored(0.6)
    )
    promote_checkpoint(run_id, 1, "Tiny", scored(0.8))
    found = cells(run_id)
    assert found["2, best"]["registered"] == "v1, latest"
    assert found["1"]["registered"] == "v2, champion"
    assert (found["1"]["Dice, whole images"], found["2, best"]["Dice, whole images"]) == (0.8, 0.6)


def test_a_score_that_was_measured_here_is_shown(run_id):
    (two, one), run = read_checkpoints(run_id), read_run(run_id)
    make_masks(network_of(one), run_id, ["disc4", "disc5"], lambda *_: None)
    assert find_score(one, run, []) == score_network(network_of(one), run_id)
    assert find_score(two, run, []) is None


def test_the_best_epoch_of_a_run_that_ended_has_the_score_of_the_run(run_id):
    client = mlflow.MlflowClient()
    client.log_metric(run_id, "best_epoch", 2)
    client.log_metric(run_id, "valid/tiled/dice", 0.77)
    client.log_metric(run_id, "valid/tiled/images/dice", 2)
    two, one = read_checkpoints(run_id)
    assert find_score(two, read_run(run_id), []) is None, "it was stopped before its end"
    client.set_terminated(run_id, "FINISHED")
    run = read_run(run_id)
    assert find_score(two, run, []) == scored(0.77)
    assert find_score(one, run, []) is None


def test_a_threshold_that_was_tuned_is_called_so(dataset, predictors):
    experiment = predictors[0].experiment.override({"training.tune_threshold": True})
    run_id = make_run(experiment, [predictors[0], predictors[1].replace(threshold=0.62)])
    model_id = read_checkpoints(run_id)[0].model_id
    mlflow.MlflowClient().set_logged_model_tags(model_id, {THRESHOLD_TAG: "0.62"})
    found = cells(run_id)
    assert found["2, best"]["threshold"] == "0.62, tuned"
    assert found["1"]["threshold"] == "0.5, not tuned"


@pytest.mark.parametrize("count", [0, 1])
def test_a_run_with_few_checkpoints(dataset, predictors, count):
    assert len(cells(make_run(predictors[0].experiment, predictors[:count]))) == count
