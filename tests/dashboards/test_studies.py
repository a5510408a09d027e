"""The Sweeps page agrees with the study about what was best, and who competes."""

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Metric, Param
from test_pages import opened, words

from dashboards.studies import StudyEnd, end_of
from dashboards.trials import competing, table_of
from tiledseg.tracking.reading import read_runs

DICE = "valid/tiled/dice"


@pytest.fixture
def study(own_tables, empty_caches):
    """A study of five trials, of which the one that scores best is too slow."""
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("Discs")
    tags = {"tiledseg.kind": "sweep", "mlflow.runName": "study"}
    parent = client.create_run(experiment, tags=tags).info.run_id
    client.log_batch(parent, params=[Param("study.objectives", DICE)])
    scores = {0: 0.7, 1: 0.95, 2: 0.8, 3: 0.6, 4: 0.99}
    runs = {}
    for number, score in scores.items():
        outcome = {3: "infeasible", 4: "pruned"}.get(number, "complete")
        tags = {
            "mlflow.parentRunId": parent,
            "tiledseg.kind": "trial",
            "tiledseg.trial": str(number),
            "tiledseg.outcome": outcome,
        }
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


def close(study, known=(0, 1, 2, 3, 4), best=2):
    client, parent, runs = study
    table = pd.DataFrame(
        {
            "trial": known,
            "best": [number == best for number in known],
            "feasible": [number not in {1, 3} for number in known],
            "val_dice": [{0: 0.5, 2: 0.75}.get(number) for number in known],
            "run_id": [runs[number] for number in known],
        }
    )
    client.log_text(parent, table.to_csv(index=False), "trials.csv")
    client.log_text(parent, "dataset: {name: Discs}\n# the best", "best.yaml")


def states(study, end):
    own = [run for run in read_runs() if run.parent == study[1]]
    table = table_of(own, DICE, end)
    return table["state"].tolist(), competing(table)["number"].tolist()


def test_an_open_study_is_judged_by_its_runs(study):
    found = states(study, end_of(study[1]))
    assert found == (["complete", "complete", "complete", "infeasible", "pruned"], [0, 1, 2])


def test_what_breaks_a_limit_does_not_compete(study):
    close(study)
    found = states(study, end_of(study[1]))
    assert found == (["complete", "infeasible", "complete", "infeasible", "pruned"], [0, 2])


def test_a_metric_of_epochs_is_the_best_epochs(study):
    close(study)
    own = [run for run in read_runs() if run.parent == study[1]]
    table = table_of(own, "val_dice", end_of(study[1]))
    assert table["score"].iloc[[0, 2]].tolist() == [0.5, 0.75]
    assert competing(table)["score"].max() == 0.75


@pytest.mark.parametrize("text", ["", "\n", "no,such,columns\n1,2,3\n"])
def test_a_table_that_says_nothing_is_no_account(study, text):
    study[0].log_text(study[1], text, "trials.csv")
    assert not end_of(study[1]).trials
    assert not end_of(study[1]).best


def test_an_empty_account_knows_nobody():
    end = StudyEnd()
    assert not end.knows("a")
    assert end.is_feasible("a")
    assert end.value("a", DICE) is None
    assert end.best == ""


class TestPage:
    def test_the_answer_is_the_studys_own(self, study):
        close(study)
        page = opened("sweeps")
        assert not page.exception
        assert "--experiment Discs-best.yaml" in page.code[0].value
        metrics = {item.label: item.value for item in page.metric}
        assert metrics["trial"] == "2"
        assert metrics[DICE] == "0.8000"
        assert "limits of its space are not applied" not in words(page)

    def test_finals_are_told(self, study):
        close(study)
        table = pd.DataFrame({"number": [0, 2], "score": [0.91, 0.9], "run_id": ["a", "b"]})
        study[0].log_text(study[1], table.to_csv(index=False), "finals.csv")
        assert "trial 0 came out best, with a validation Dice of 0.9100" in words(opened("sweeps"))

    def test_an_open_study_says_what_it_does_not_know(self, study):
        page = opened("sweeps")
        assert "training.clipnorm=1.5" in page.code[0].value
        assert {item.label: item.value for item in page.metric}["trial"] == "1"
        assert "limits of its space are not applied" in words(page)

    def test_trials_after_the_last_closing_reopen_the_question(self, study):
        close(study, known=(0, 1, 3, 4), best=0)
        page = opened("sweeps")
        metrics = {item.label: item.value for item in page.metric}
        assert metrics["trial"] == "2"  # trial 1 is known to be too slow
        assert "--set training.clipnorm=null" in page.code[0].value

    def test_pruned_trials_do_not_win_by_a_metric_of_epochs(self, study):
        page = opened("sweeps", objective="val_dice")
        assert {item.label: item.value for item in page.metric}["trial"] == "1"
        assert "last epoch" in words(page)
