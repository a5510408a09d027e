"""The Sweeps page agrees with the study about what was best, and who competes."""

import json

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Metric, Param
from page_script import open_page, read_words

from dashboards.studies import read_study_files
from dashboards.trials import make_trial_table, select_complete
from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.tracking.queries import read_runs

DICE = "valid/tiled/dice"


@pytest.fixture
def study(own_tables, empty_caches):
    """A study of five trials, of which the one that scores best is too slow."""
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("Discs")
    tags = {
        "tiledseg.format": str(FORMAT_VERSION),
        "tiledseg.kind": "sweep",
        "mlflow.runName": "study",
    }
    parent = client.create_run(experiment, tags=tags).info.run_id
    client.log_batch(parent, params=[Param("study.objectives", DICE)])
    scores = {0: 0.7, 1: 0.95, 2: 0.8, 3: 0.6, 4: 0.99}
    runs = {}
    for number, score in scores.items():
        outcome = {3: "infeasible", 4: "pruned"}.get(number, "complete")
        tags = {
            "mlflow.parentRunId": parent,
            "tiledseg.format": str(FORMAT_VERSION),
            "tiledseg.kind": "trial",
            "tiledseg.trial": str(number),
            "tiledseg.outcome": outcome,
            "tiledseg.feasible": "true" if number in (0, 2) else "false",
        }
        if number == 2:
            tags["tiledseg.objective"] = json.dumps({DICE: score, "val_dice": 0.75})
        run = client.create_run(experiment, tags=tags, run_name=f"study {number}").info.run_id
        clipnorm = "None" if number == 2 else "1.5"
        client.log_batch(
            run,
            params=[Param("training.clipnorm", clipnorm), Param("training.seed", str(number))],
            metrics=[Metric(DICE, score, number, 0), Metric("val_dice", score - 0.3, number, 9)],
        )
        client.set_terminated(run, "FINISHED" if outcome == "complete" else "KILLED")
        runs[number] = run
    return client, parent, runs


def close(study, best=2):
    client, parent, runs = study
    client.log_text(parent, "dataset: {name: Discs}\n# the best", "best.yaml")
    client.set_tag(parent, "tiledseg.best", runs[best])


def table(study, objective=DICE):
    return make_trial_table([run for run in read_runs() if run.parent == study[1]], objective)


def test_what_breaks_a_limit_does_not_compete(study):
    found = table(study)
    assert found["state"].tolist() == ["complete", "infeasible", "complete", "infeasible", "pruned"]
    assert select_complete(found)["number"].tolist() == [0, 2]


def test_a_metric_of_epochs_is_the_best_epochs_where_the_study_was_after_it(study):
    found = table(study, "val_dice")
    assert found["score"].iloc[[0, 2]].tolist() == [pytest.approx(0.4), 0.75]


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_table_that_is_being_written_is_empty(study, text):
    for name in ("retraining.csv", "importance.csv"):
        study[0].log_text(study[1], text, name)
    files = read_study_files(study[1])
    assert files.retrained.empty
    assert files.importance_for(DICE).empty


class TestPage:
    def test_the_answer_is_the_studys_own(self, study):
        close(study)
        page = open_page("sweeps")
        assert not page.exception
        assert "--experiment Discs-best.yaml" in page.code[0].value
        metrics = {item.label: item.value for item in page.metric}
        assert metrics["trial"] == "2"
        assert metrics[DICE] == "0.8000"

    def test_retrained_trials_are_shown(self, study):
        close(study)
        table = pd.DataFrame({"number": [0, 2], "score": [0.91, 0.9], "run_id": ["a", "b"]})
        study[0].log_text(study[1], table.to_csv(index=False), "retraining.csv")
        assert "trial 0 came out best, with a validation Dice of 0.9100" in read_words(
            open_page("sweeps")
        )

    @pytest.mark.parametrize(("others", "is_shown"), [((1,), False), ((1, 3), True)])
    def test_the_importance_of_four_complete_trials_is_what_the_study_logged(
        self, study, others, is_shown
    ):
        client, parent, runs = study
        for number in others:
            client.set_tag(runs[number], "tiledseg.outcome", "complete")
            client.set_tag(runs[number], "tiledseg.feasible", "true")
            client.set_terminated(runs[number], "FINISHED")
        rows = [(DICE, "training.seed", 0.7), (DICE, "training.clipnorm", 0.3)]
        table = pd.DataFrame(rows, columns=["objective", "setting", "share"])
        client.log_text(parent, table.to_csv(index=False), "importance.csv")
        assert list(read_study_files(parent).importance_for(DICE)["share"]) == [0.7, 0.3]
        assert ("PED-ANOVA" in read_words(open_page("sweeps"))) == is_shown
        assert "PED-ANOVA" not in read_words(open_page("sweeps", objective="val_dice"))

    def test_before_a_study_has_ended_the_page_says_when_importance_is_measured(self, study):
        page = open_page("sweeps")
        assert "PED-ANOVA" not in read_words(page)
        assert any("measured when the sweep ends" in item.value for item in page.info)

    def test_an_open_study_is_judged_by_its_runs(self, study):
        page = open_page("sweeps")
        assert {item.label: item.value for item in page.metric}["trial"] == "2"
        assert "--set training.clipnorm=null" in page.code[0].value

    def test_a_better_trial_after_the_last_closing_reopens_the_question(self, study):
        close(study, best=0)
        page = open_page("sweeps")
        assert {item.label: item.value for item in page.metric}["trial"] == "2"
        assert "Discs-best.yaml" not in page.code[0].value

    def test_of_equal_trials_the_studys_own_is_the_best(self, study):
        client, _, runs = study
        client.log_metric(runs[0], DICE, 0.8, step=1)
        close(study)
        page = open_page("sweeps")
        assert {item.label: item.value for item in page.metric}["trial"] == "2"
        assert "--experiment Discs-best.yaml" in page.code[0].value

    def test_of_another_metric_of_epochs_the_page_says_which_epoch(self, study):
        assert "val_dice is that of its last epoch" in read_words(
            open_page("sweeps", objective="val_dice")
        )
        assert "last epoch" not in read_words(open_page("sweeps"))
