"""A training is repeated from what its run holds, and what differs is named."""

import io
import json
import math
import shutil
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
from typer.testing import CliRunner

from tiledseg import train
from tiledseg.cli import app
from tiledseg.errors import DatasetError, TrackingError
from tiledseg.images.hashing import hash_content
from tiledseg.reproduction import compare_runs, describe_changes, reproduce
from tiledseg.tracking import runs, tracked_run
from tiledseg.tracking.names import (
    ARITHMETIC_TAG,
    DATA_DIGEST_TAG,
    REPRODUCES_TAG,
    REVISION_TAG,
    VERSIONS_TAG,
)
from tiledseg.tracking.resuming import find_last, plan_resumption
from tiledseg.tracking.revision import Code
from tiledseg.tracking.run_record import read_record
from tiledseg.training import schedule

pytestmark = pytest.mark.usefixtures("code")


@pytest.fixture
def code(monkeypatch):
    """What the code is said to be, whatever is being worked on."""

    def set_code(code):
        monkeypatch.setattr(tracked_run, "read_code", lambda: code)
        monkeypatch.setattr("tiledseg.reproduction.read_code", lambda: code)

    set_code(Code("a" * 40))
    return set_code


def open_store(patch, place):
    uri = f"sqlite:///{(place / 'mlflow.db').as_posix()}"
    patch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)


@pytest.fixture(scope="module")
def place(tmp_path_factory, mlflow_tables, tiny_dataset, tiny_experiment):
    """A folder with data and a store, and a short training of them; no test changes it."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(mlflow_tables, folder / "mlflow.db")
    tiny_dataset(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        open_store(patch, folder)
        patch.setattr(tracked_run, "read_code", lambda: Code("a" * 40))
        experiment = tiny_experiment(training={"tune_threshold": True})
        return folder, train(experiment, root=folder / "data")


@pytest.fixture
def trained(place, tmp_path, monkeypatch):
    """The test's own copy of the data, and the training in the store."""
    folder, result = place
    shutil.copytree(folder / "data", tmp_path / "data")
    open_store(monkeypatch, folder)
    return tmp_path / "data" / "Tiny", result


def count_runs():
    client = mlflow.MlflowClient()
    return len(client.search_runs([client.get_experiment_by_name("Tiny").experiment_id]))


def test_the_same_training_gives_the_same_figures(trained):
    client, (_, first) = mlflow.MlflowClient(), trained
    done = CliRunner().invoke(app, ["reproduce", first.run_id])
    assert done.exit_code == 0, done.output
    assert "same        all" in done.output
    experiment_id = client.get_run(first.run_id).info.experiment_id
    second = client.search_runs([experiment_id], f"tags.`{REPRODUCES_TAG}` = '{first.run_id}'")
    assert [run.info.status for run in second] == ["FINISHED"]
    compared = int(done.output.partition("all ")[2].split()[0])
    records = [read_record(run_id) for run_id in (first.run_id, second[0].info.run_id)]
    # 2 epochs; final scores of 2 splits in 2 modes, seams, threshold and best epoch
    assert compared > 2 * 8 + 2 * 2 * 5
    pd.testing.assert_frame_equal(records[0].history, records[1].history, rtol=0, atol=1e-6)
    assert records[0].rates == records[1].rates
    assert len(client.search_model_versions("name = 'Tiny'")) == 1


@pytest.mark.usefixtures("own_tables")
@pytest.mark.soak
def test_a_training_that_a_clock_ended_is_repeated_step_by_step(
    tiny_dataset, tiny_experiment, monkeypatch
):
    """The clock passes two seconds at every look, so the budget ends within the second epoch."""
    tiny_dataset()
    training = {"epochs": 9, "max_minutes": 1.0, "steps_per_epoch": 9, "validation_tiles": 2}
    now = iter(range(0, 10**6, 2))
    with monkeypatch.context() as patch:
        patch.setattr(schedule, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
        first = train(tiny_experiment(training=training), splits=["valid"])
    record = read_record(first.run_id)
    steps = pd.read_csv(io.StringIO(record.rates)).groupby("epoch").size().tolist()
    assert len(steps) > 1
    assert 0 < steps[-1] < 9
    done = reproduce(first.run_id)
    assert done.differences == []
    again = read_record(done.run_id)
    assert (again.rates, len(again.history)) == (record.rates, len(steps))
    assert again.experiment.training == record.experiment.training


def test_data_that_changed_are_named_and_nothing_is_trained(trained):
    folder, first = trained
    before = count_runs()
    shutil.copy(folder / "test/images/disc6.png", folder / "train/images/disc2.png")
    shutil.copy(folder / "train/masks/disc0.png", folder / "train/masks/disc1.png")
    for part in ("images", "masks"):
        (folder / f"valid/{part}/disc4.png").rename(folder / f"valid/{part}/disc9.png")
    done = CliRunner().invoke(app, ["reproduce", first.run_id])
    assert isinstance(done.exception, DatasetError)
    named = (
        "train disc1: another mask; train disc2: another image; "
        "valid disc4: missing; valid disc9: new; put those files back"
    )
    assert named in str(done.exception)
    assert count_runs() == before


def test_at_most_ten_changes_are_named(trained):
    folder, first = trained
    for number in range(20, 32):
        for part in ("images", "masks"):
            shutil.copy(folder / f"train/{part}/disc0.png", folder / f"train/{part}/n{number}.png")
    with pytest.raises(DatasetError, match="train n29: new and 2 more") as caught:
        reproduce(first.run_id)
    assert str(caught.value).count(": new") == 10


def test_an_image_in_another_split_is_said_to_lie_there():
    columns = ["split", "stem", "image", "mask"]
    before = pd.DataFrame([("train", "a", "1", "2"), ("valid", "b", "3", "4")], columns=columns)
    after = pd.DataFrame([("train", "a", "1", "2"), ("test", "b", "3", "4")], columns=columns)
    assert describe_changes(before, after) == ["valid b: lies in test now"]
    assert describe_changes(before, before) == []


@pytest.mark.parametrize(
    ("here", "named"),
    [
        (Code("b" * 40), f"revision {'b' * 40}"),
        (Code("a" * 40, "+ a line"), "with changes"),
        (Code(), "code outside of git"),
    ],
)
def test_other_code_is_refused_unless_it_is_wanted(trained, code, here, named):
    _, first = trained
    before = count_runs()
    code(here)
    with pytest.raises(TrackingError, match=f"made by revision {'a' * 40}, and this is") as caught:
        reproduce(first.run_id)
    assert named in str(caught.value)
    assert "--with-this-code" in str(caught.value)
    assert count_runs() == before


def test_the_code_of_the_run_is_used_where_the_repository_holds_it(
    trained, code, monkeypatch, tmp_path, capfd
):
    """The checkout holds a program that says how it is called, and ends with 3."""
    _, first = trained
    code(Code("b" * 40))
    package = tmp_path / "checkout" / "tiledseg"
    package.mkdir(parents=True)
    text = "import os, sys\nprint(os.getcwd(), *sys.argv[1:], flush=True)\nsys.exit(3)\n"
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(text)
    wanted = []

    @contextmanager
    def open_checkout(code):
        wanted.append(code)
        yield package.parent

    monkeypatch.setattr("tiledseg.reproduction.open_checkout", open_checkout)
    done = CliRunner().invoke(app, ["reproduce", first.run_id])
    assert (done.exit_code, wanted) == (3, [Code("a" * 40)])
    expected = f"{tmp_path} reproduce {first.run_id} --with-this-code"
    assert capfd.readouterr().out.strip() == expected


def test_figures_that_differ_are_listed_with_what_may_explain_them(trained, monkeypatch):
    """The first run is made to look as if it came from elsewhere, with another score."""
    _, result = trained
    second = read_record(result.run_id)
    tags = {
        **second.tags,
        REVISION_TAG: "b" * 40,
        VERSIONS_TAG: json.dumps({**second.versions, "keras": "3.0"}),
    }
    metrics = {**second.metrics, "valid/tiled/dice": 2.0, "training_seconds": -1.0}
    first = replace(second, code=Code("b" * 40), metrics=metrics, tags=tags)
    records = iter([first, second])
    monkeypatch.setattr("tiledseg.reproduction.read_record", lambda _: next(records))
    monkeypatch.setattr("tiledseg.reproduction.train", lambda *_, **__: result)
    done = CliRunner().invoke(app, ["reproduce", result.run_id, "--with-this-code"])
    assert done.exit_code == 1
    assert "1 of " in done.stderr
    assert "most valid/tiled/dice, by " in done.stderr
    assert f"may be      code revision: {'b' * 40} -> {'a' * 40}" in done.stdout
    assert f"may be      version of keras: 3.0 -> {second.versions['keras']}" in done.stdout


def test_at_most_twenty_differences_are_shown(trained, monkeypatch):
    _, result = trained
    second = read_record(result.run_id)
    first = replace(second, history=second.history + 1)
    records = iter([first, first, second])
    monkeypatch.setattr("tiledseg.reproduction.read_record", lambda _: next(records))
    monkeypatch.setattr("tiledseg.reproduction.train", lambda *_, **__: result)
    done = CliRunner().invoke(app, ["reproduce", result.run_id])
    assert done.exit_code == 1
    table = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert len(table) == 20
    assert "more" in done.stdout
    assert "the order in which threads" in done.stdout


def test_a_score_that_is_not_defined_in_both_is_no_difference_and_in_one_it_is():
    def record(epoch, **final):
        history = pd.DataFrame({"epoch": [1], "val_dice_rare": [epoch]})
        return SimpleNamespace(history=history, metrics=final)

    nothing = record(math.nan, **{"valid/tiled/images/dice/rare": 0.0})
    assert compare_runs(nothing, nothing) == (1, [])
    some = record(0.5, **{"valid/tiled/images/dice/rare": 1.0, "valid/tiled/dice/rare": 0.5})
    compared, differences = compare_runs(nothing, some)
    assert compared == 3
    found = {each.figure: (each.first, each.second, each.size) for each in differences}
    assert found == {
        "val_dice_rare": (None, 0.5, math.inf),
        "valid/tiled/dice/rare": (None, 0.5, math.inf),
        "valid/tiled/images/dice/rare": (0.0, 1.0, 1.0),
    }


@pytest.mark.usefixtures("own_tables")
def test_what_cannot_be_repeated_is_refused(tiny_experiment):
    with pytest.raises(TrackingError, match="0123"):
        reproduce("0123")
    with runs.open_run(tiny_experiment(), "evaluate") as run:
        pass
    with pytest.raises(TrackingError, match="is a run of kind evaluate, FINISHED"):
        reproduce(run.run_id)
    with runs.open_run(tiny_experiment(), "train") as run:
        pass
    with pytest.raises(TrackingError, match=r"no curves/history\.csv"):
        reproduce(run.run_id)


@pytest.mark.usefixtures("own_tables")
def test_a_repetition_that_was_stopped_is_not_resumed(tiny_experiment):
    with (
        pytest.raises(KeyboardInterrupt),
        runs.open_run(tiny_experiment(), "train", reproduces="0123") as run,
    ):
        run.log_experiment(tiny_experiment())
        raise KeyboardInterrupt
    with pytest.raises(TrackingError, match="`tiledseg reproduce 0123` begins again"):
        plan_resumption(run.run_id)
    with pytest.raises(TrackingError, match="none was stopped"):
        find_last("Tiny")


def test_a_run_says_what_it_was_made_with(trained):
    client, (folder, first) = mlflow.MlflowClient(), trained
    tags = client.get_run(first.run_id).data.tags
    assert tags[REVISION_TAG] == "a" * 40
    assert json.loads(tags[VERSIONS_TAG]).keys() >= {"python", "tiledseg", "keras", "numpy"}
    assert tags[ARITHMETIC_TAG] == "tensorflow, float32"
    data = read_record(first.run_id).data
    assert data["split"].tolist() == ["train"] * 4 + ["valid"] * 2 + ["test"] * 2
    row = data[data["stem"] == "disc4"].iloc[0]
    assert row["image"] == hash_content(folder / "valid/images/disc4.png")
    assert row["mask"] == hash_content(folder / "valid/masks/disc4.png")
    inputs = client.get_run(first.run_id).inputs.dataset_inputs
    assert {each.dataset.digest for each in inputs} == {tags[DATA_DIGEST_TAG]}
