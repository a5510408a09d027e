"""The page Overview."""

import sqlite3

import mlflow
import pytest
from page_script import open_page, read_words

from dashboards.store import versions
from tiledseg.config.format_version import FORMAT_VERSION


def test_overview_shows_progress_of_the_open_run(at_store):
    assert "epoch 3 of at most 10" in read_words(open_page("overview"))


def test_a_champion_s_mean_says_how_many_images_are_behind_it(at_store):
    page = open_page("overview")
    assert "Mean over 2 images." in read_words(page)
    latest = page.dataframe[0].value
    assert latest["images"].dropna().tolist() == [2, 2]  # trainings; the trials have none


def test_overview_shows_progress_of_an_open_study(broken, store):
    with sqlite3.connect(broken / "mlflow.db") as database:
        (study,) = database.execute("SELECT run_uuid FROM runs WHERE name = 'filters'")
        database.execute("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?", study)
        tag = {"key": "tiledseg.trials", "value": "24", "run": study[0]}
        database.execute("INSERT INTO tags (key, value, run_uuid) VALUES (:key, :value, :run)", tag)
        died = {"tag": "tiledseg.outcome", "value": "died", "trial": "filters 003"}
        database.execute(
            "UPDATE tags SET value = :value WHERE key = :tag AND run_uuid IN "
            "(SELECT run_uuid FROM runs WHERE name = :trial)",
            died,
        )
    assert "11 of 24 trials" in read_words(open_page("overview"))  # one is run again


def test_overview_leaves_launchers_out(own_tables, empty_caches):
    client = mlflow.MlflowClient()
    launcher = {
        "tiledseg.format": str(FORMAT_VERSION),
        "tiledseg.kind": "launcher",
        "mlflow.runName": "handsome-eel",
    }
    client.create_run("0", tags=launcher)
    training = {
        "tiledseg.format": str(FORMAT_VERSION),
        "tiledseg.kind": "train",
        "mlflow.runName": "first",
    }
    client.create_run(client.create_experiment("Discs"), tags=training)
    page = open_page("overview")
    assert page.dataframe[0].value["run"].tolist() == ["first"]
    assert "handsome-eel" not in read_words(page)
    assert "first" in read_words(page)


@pytest.mark.parametrize("name", ["overview", "models"])
def test_a_champion_that_is_another_epoch_shows_no_scores_of_the_best_one(broken, store, name):
    client = mlflow.MlflowClient()
    before = read_words(open_page(name))
    assert "White: true positive" in before
    client.set_model_version_tag("Discs", "2", "tiledseg.epoch", "7")
    versions.clear()
    page = open_page(name)
    assert not page.exception
    words = read_words(page)
    score = float(client.get_model_version("Discs", "2").tags["valid/tiled/dice"])
    assert f"Its Dice on validation images is **{score:.4f}** (tiled, mean over 2 images)" in words
    assert "This is **epoch 7** of its run" in words
    assert "in the run are those of epoch 1" in words
    assert "tiledseg evaluate --model models:/Discs/2 --dataset Discs" in words
    assert "White: true positive" not in words
    assert "Means over whole images" not in words
    assert not page.metric
