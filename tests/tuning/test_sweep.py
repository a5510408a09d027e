"""Whole sweeps of fake trials: real storage, real tracking, real processes."""

import json

import mlflow
import optuna
import pandas as pd
import pytest

from dashboards.trials import list_settings, make_trial_table
from tiledseg.config.experiment import load_experiment
from tiledseg.errors import DatasetError, SweepError
from tiledseg.tracking.queries import read_runs

STORAGE = "sqlite:///sweeps.db"


def runs():
    return mlflow.search_runs(search_all_experiments=True, max_results=1000)


def children():
    found = runs()
    return found[found["tags.tiledseg.kind"] == "trial"]


def study(name="Tiny-tiny"):
    return optuna.load_study(study_name=name, storage=STORAGE)


def test_a_study_from_beginning_to_end_and_on(fake_sweep, tmp_path):
    result = fake_sweep(trials=8, workers=2, drawn=True)
    rows = result.progress.rows
    assert len(rows) == len(study().trials) == 8
    assert rows[0].origin == "experiment"
    assert rows[0].params == {
        "training.learning_rate": 0.01, "model.num_layers": 2, "model.base_filters": 4
    }  # fmt: skip
    states = {row.state for row in rows}
    assert states == {"complete", "pruned"}

    best = max((row for row in rows if row.state == "complete"), key=lambda row: row.values)
    assert result.best == best
    assert best.values[0] > result.progress.own_trial.values[0]
    found = load_experiment(result.file)
    assert result.file.name == "Tiny-best.yaml"
    assert found.training.learning_rate == best.params["training.learning_rate"]
    assert found.tracking.register_model  # a trial's settings stay with the trial

    parent = mlflow.get_run(result.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best/valid/tiled/dice"] == pytest.approx(best.values[0])
    of_trials = children()
    assert set(of_trials["tags.mlflow.parentRunId"]) == {result.run_id}
    assert sorted(of_trials["tags.tiledseg.trial"].astype(int)) == list(range(8))
    for run in of_trials.to_dict("records"):
        state = rows[int(run["tags.tiledseg.trial"])].state
        assert run["status"] == {"complete": "FINISHED", "pruned": "KILLED"}[state]
        assert (state == "pruned") == ("pruned after" in str(run["tags.tiledseg.reason"]))

    files = {item.path for item in mlflow.MlflowClient().list_artifacts(result.run_id, "plots")}
    pictures = ("history", "importance", "slices", "parallel", "epochs")
    assert files == {f"plots/{name}.png" for name in pictures}
    table = pd.read_csv(mlflow.artifacts.download_artifacts(f"runs:/{result.run_id}/trials.csv"))
    assert list(table["trial"]) == list(range(8))
    file = mlflow.artifacts.download_artifacts(f"runs:/{result.run_id}/importance.csv")
    importance = pd.read_csv(file)
    assert set(importance["objective"]) == {"valid/tiled/dice"}
    assert set(importance["setting"]) == set(rows[0].params)

    page = make_trial_table([run for run in read_runs() if run.parent], "valid/tiled/dice")
    assert list_settings(page) == sorted(rows[0].params)  # what the space gave, as it was tagged
    for row in rows:
        shown = page.set_index("number").loc[row.number]
        assert {name: shown[name] for name in row.params} == pytest.approx(row.params)

    again = fake_sweep(trials=8)  # nothing left to do
    assert [row.number for row in again.progress.rows] == list(range(8))
    assert again.file == result.file
    more = fake_sweep(trials=10)
    assert len(more.progress.rows) == len(study().trials) == 10
    assert more.run_id == result.run_id
    assert set(runs()["status"]) == {"FINISHED", "KILLED"}


def test_a_study_of_the_same_name_that_asks_something_else(fake_sweep, space_of, tiny_experiment):
    fake_sweep(trials=1)
    before = runs()
    other = space_of(
        "parameters:\n  training.learning_rate: {type: float, low: 1.0e-4, high: 0.2, log: true}"
    )
    with pytest.raises(SweepError, match=r"another space.*high was 0.1, is 0.2.*--study"):
        fake_sweep(space=other)
    with pytest.raises(SweepError, match=r"model.num_layers was 2, is 3"):
        fake_sweep(experiment=tiny_experiment(model={"num_layers": 3}, training={"epochs": 4}))
    with pytest.raises(SweepError, match=r"training.epochs was"):
        fake_sweep(trial_epochs=3)
    with pytest.raises(SweepError, match="objectives"):
        fake_sweep(objectives=("valid/tiled/seconds_per_megapixel",))
    assert len(runs()) == len(before)
    optuna.create_study(study_name="theirs", storage=STORAGE).ask()
    with pytest.raises(SweepError, match="not made by tiledseg"):
        fake_sweep(study="theirs")


def test_failures_are_recorded_and_the_study_goes_on(fake_sweep):
    plan = {"fail": 0.03}  # trials with a higher rate diverge
    result = fake_sweep(trials=10, plan=plan, sampler="random", pruner="none", workers=2)
    rows = result.progress.rows
    failed = [row for row in rows if row.params["training.learning_rate"] > 0.03]
    assert failed
    assert len(rows) == 10
    for row in rows:
        assert row.state == ("diverged" if row in failed else "complete")
        assert row.reason == ("the loss is nan" if row in failed else "")
        run = mlflow.get_run(row.run_id)
        assert run.info.status == ("FAILED" if row in failed else "FINISHED")
        assert run.data.tags.get("tiledseg.reason", "") == row.reason
    assert result.best.state == "complete"


@pytest.fixture
def of_three_classes(tiny_experiment):
    return tiny_experiment(
        dataset={"mask_form": "labels", "classes": ["background", "common", "rare"]},
        model={"num_classes": 3},
        training={"epochs": 2},
    )


def test_an_objective_that_no_trial_would_have_ends_the_sweep_before_trials(
    fake_sweep, of_three_classes
):
    asked = {"experiment": of_three_classes, "objectives": ("valid/tiled/dice/rare",)}
    with pytest.raises(DatasetError, match=r"^it is not defined: valid/tiled/dice/rare$"):
        fake_sweep(**asked, plan={"refuse": "it is not defined"})
    assert children().empty
    with pytest.raises(SweepError, match="there is no class 'rear'"):
        fake_sweep(experiment=of_three_classes, objectives=("valid/tiled/dice/rear",))


def test_a_trial_whose_objective_is_not_defined_fails_with_the_reason(fake_sweep, of_three_classes):
    result = fake_sweep(
        trials=1,
        experiment=of_three_classes,
        objectives=("valid/tiled/precision/rare",),
        plan={"undefined": ["precision/rare"]},
    )
    (row,) = result.progress.rows
    reason = (
        "objective valid/tiled/precision/rare is not defined in this trial: no validation image "
        "has a prediction of class rare"
    )
    assert (row.state, row.reason) == ("error", reason)
    assert mlflow.get_run(row.run_id).data.tags["tiledseg.reason"] == reason
    assert result.best is None


def test_trials_are_not_pruned_by_what_is_not_defined(fake_sweep):
    plan, asked = {"nowhere": True}, {"objectives": ("val_loss",), "pruner": "median"}
    result = fake_sweep(trials=7, plan=plan, sampler="random", **asked)
    assert [row.state for row in result.progress.rows] == ["complete"] * 7
    assert not any(trial.intermediate_values for trial in study().trials)


def test_a_killed_trial_is_run_once_more_and_counts_once(fake_sweep):
    result = fake_sweep(trials=5, plan={"die": 0.03}, sampler="random", pruner="none")
    rows = result.progress.rows
    killed = [row for row in rows if row.params["training.learning_rate"] > 0.03]
    assert killed
    assert len(rows) == 5
    assert len(study().trials) == 5 + len(killed)
    assert all(row.state == "killed" and "signal 9" in row.reason for row in killed)
    assert set(children()["status"]) <= {"FINISHED", "KILLED"}
    assert len(children()) == 5 + len(killed)


LIMITED = """
parameters:
  training.learning_rate: {type: float, low: 1.0e-3, high: 0.1, log: true}
  model.base_filters: {type: categorical, choices: [4, 64]}
limits: {parameters: 5000, seconds_per_megapixel: 0.2}
"""


@pytest.mark.soak
def test_two_objectives_limits_and_a_front(fake_sweep, space_of):
    objectives = ("valid/tiled/dice", "valid/tiled/seconds_per_megapixel")
    result = fake_sweep(
        space=space_of(LIMITED),
        objectives=objectives,
        trials=12,
        sampler="nsga2",
        workers=2,
        drawn=True,
    )
    rows = result.progress.rows
    large = [row for row in rows if row.params["model.base_filters"] == 64]
    slow = [row for row in rows if row.values and row.values[1] > 0.2]
    assert large
    assert {row.state for row in large} == {"infeasible"}
    assert all("64000 parameters" in row.reason for row in large)
    assert all(not row.is_feasible for row in [*large, *slow])
    for row in rows:  # a page that knows the run alone sees the same
        tags = mlflow.get_run(row.run_id).data.tags
        assert tags["tiledseg.feasible"] == str(row.is_feasible).lower()
        if row.state == "complete":
            assert list(json.loads(tags["tiledseg.objective"]).values()) == list(row.values)
            assert ("limits.seconds_per_megapixel allows 0.2" in row.reason) == (row in slow)
            assert tags.get("tiledseg.reason", "") == row.reason
        else:
            assert "tiledseg.objective" not in tags
    front = result.progress.best
    assert front[0] == result.best
    assert not {row.number for row in front} & {row.number for row in [*large, *slow]}
    for row in front:
        assert not any(
            other.values[0] >= row.values[0]
            and other.values[1] <= row.values[1]
            and other.values != row.values
            for other in rows
            if other.state == "complete" and other.is_feasible
        )
    files = {item.path for item in mlflow.MlflowClient().list_artifacts(result.run_id, "plots")}
    assert "plots/pareto.png" in files
    assert "plots/history-1.png" in files


GRID = """
parameters:
  model.num_layers: {type: int, low: 2, high: 3}
  training.loss: {type: categorical, choices: [bce, dice]}
initial_trials: [{name: source, settings: {training.loss: bce}}]
"""


def test_a_grid_is_tried_once(fake_sweep, space_of):
    result = fake_sweep(space=space_of(GRID), sampler="grid", trials=100, pruner="none", workers=2)
    rows = result.progress.rows
    assert [row.origin for row in rows[:2]] == ["experiment", "source"]
    assert rows[0].params == {"model.num_layers": 2}  # its loss, bce_dice, is not in the space
    assert len(rows) == 1 + 1 + 4
    tried = {(row.params["model.num_layers"], row.params["training.loss"]) for row in rows[2:]}
    assert len(tried) == 4


@pytest.mark.soak
def test_a_grid_joins_what_other_samplers_and_seeds_tried(fake_sweep, space_of):
    fake_sweep(space=space_of(GRID), sampler="random", trials=5, pruner="none")
    result = fake_sweep(space=space_of(GRID), sampler="grid", trials=100, pruner="none", seed=3)
    searched = [tuple(row.params.values()) for row in result.progress.rows if not row.origin]
    assert len(set(searched)) == 4
    assert len(searched) == 3 + 4 - len(set(searched[:3]))
    again = fake_sweep(space=space_of(GRID), sampler="grid", trials=100, pruner="none", seed=4)
    assert len(again.progress.rows) == len(result.progress.rows)


def test_what_is_reported_is_shown_as_it_was_where_less_is_better(fake_sweep, watcher):
    seen = []

    def look(progress):
        seen.extend(row for row in progress.rows if row.state != "complete" and row.values)

    fake_sweep(
        trials=9,
        objectives=("valid/tiled/seconds_per_megapixel",),
        pruner="median",
        sampler="random",
        observer=watcher(look),
        plan={"epoch_seconds": 0.2},
    )
    assert seen
    assert all(0 < row.values[0] < 1 for row in seen)


def test_experiments_that_cannot_be_written_do_not_spoil_the_study(fake_sweep, tmp_path):
    (tmp_path / "experiments").write_text("in the way")
    result = fake_sweep(trials=4, pruner="none", drawn=True)
    assert result.file is None
    assert "best.yaml" in result.write_error
    assert result.experiment is not None
    client = mlflow.MlflowClient()
    assert client.get_run(result.run_id).info.status == "FINISHED"
    files = {item.path for item in client.list_artifacts(result.run_id)}
    assert {"best.yaml", "trials.csv", "plots"} <= files


def test_hours_end_a_study(fake_sweep):
    result = fake_sweep(trials=0, hours=5 / 3600, pruner="none", plan={"epoch_seconds": 0.05})
    assert result.progress.wanted is None
    assert result.progress.elapsed < 120
    assert all(row.state in ("complete", "waiting") for row in result.progress.rows)


def test_what_is_refused_before_anything_is_made(fake_sweep, tmp_path):
    for options, word in [
        ({"objectives": ("valid/tiled/dice", "val_loss"), "pruner": "asha"}, "pruner asha"),
        ({"storage": "postgresql://127.0.0.1:9/x"}, "127.0.0.1:9"),
        ({"trials": -1}, "--trials"),
        ({"workers": 0}, "--workers"),
        ({"objectives": ("test/tiled/dice",)}, "test"),
    ]:
        with pytest.raises(SweepError, match=word):
            fake_sweep(**options)
    assert list(tmp_path.glob("sweeps.db*")) == []
