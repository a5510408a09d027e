import cv2
import mlflow
import numpy as np
import pytest
from stores import on_every_store

from tiledseg.data.dataset import load_dataset
from tiledseg.errors import DatasetError, OutputError, TrackingError
from tiledseg.tracking import runs
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import ERROR_TAG, KIND_TAG, OWNER_TAG
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.run_folder import run_folder
from tiledseg.tracking.runs import open_run, read_experiment
from tiledseg.training.observer import EpochPicture, EpochReport

pytestmark = on_every_store


def only_run(client, name="Tiny"):
    (run,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    return run


def test_a_run_lies_in_the_experiment_named_after_the_dataset(client, tiny_experiment):
    with open_run(tiny_experiment(), "train") as run:
        assert client.get_run(run.run_id).info.status == "RUNNING"
    found = only_run(client)
    assert found.info.run_id == run.run_id
    assert found.info.status == "FINISHED"
    assert found.data.tags[KIND_TAG] == "train"


def test_an_error_marks_the_run_failed_and_says_why(client, tiny_experiment):
    with pytest.raises(DatasetError), open_run(tiny_experiment(), "train"):
        raise DatasetError("no mask for a.png")
    assert only_run(client).info.status == "FAILED"
    assert only_run(client).data.tags[ERROR_TAG] == "no mask for a.png"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_end_from_outside_marks_the_run_killed(client, tiny_experiment, end):
    with pytest.raises(end), open_run(tiny_experiment(), "train"):
        raise end
    assert only_run(client).info.status == "KILLED"
    assert mlflow.active_run() is None


def test_settings_come_back_from_the_run(client, tiny_experiment):
    experiment = tiny_experiment()
    with open_run(experiment, "train") as run:
        run.log_experiment(experiment)
    logged = only_run(client).data.params
    assert logged == {key: str(value) for key, value in experiment.flatten().items()}
    assert read_experiment(run.run_id) == experiment


def test_a_run_that_does_not_exist(tiny_experiment):
    with pytest.raises(TrackingError, match="0123"):
        read_experiment("0123")
    with pytest.raises(TrackingError, match="0123"), open_run(tiny_experiment(), "", resume="0123"):
        pass


def test_a_resumed_run_is_the_same_run(client, tiny_experiment):
    with pytest.raises(KeyboardInterrupt), open_run(tiny_experiment(), "train") as first:
        raise KeyboardInterrupt
    with open_run(tiny_experiment(), "train", resume=first.run_id) as second:
        assert second.run_id == first.run_id
    assert only_run(client).info.status == "FINISHED"


def test_a_resumed_run_forgets_why_it_failed(client, tiny_experiment):
    with pytest.raises(DatasetError), open_run(tiny_experiment(), "train") as first:
        raise DatasetError("no mask for a.png")
    with open_run(tiny_experiment(), "train", resume=first.run_id):
        pass
    assert ERROR_TAG not in only_run(client).data.tags


def test_splits_are_inputs_with_the_digest(client, tiny_dataset, tiny_experiment):
    experiment = tiny_experiment()
    dataset = load_dataset(experiment.dataset, tiny_dataset().parent)
    with open_run(experiment, "train") as run:
        run.log_dataset(dataset, experiment.dataset)
    inputs = only_run(client).inputs.dataset_inputs
    assert {item.dataset.digest for item in inputs} == {dataset.digest}
    contexts = [tag.value for item in inputs for tag in item.tags if tag.key.endswith("context")]
    assert sorted(contexts) == ["test", "train", "valid"]


def test_epoch_masks_keep_their_epoch_as_step(client, tiny_experiment):
    mask = np.zeros((20, 30), bool)
    mask[5:10] = True
    with open_run(tiny_experiment(), "train") as run:
        for epoch in (1, 2):
            run.on_epoch_masks(EpochPicture(epoch, "a", "tiled", mask))
    pictures = RunFiles(run.run_id).epoch_pictures()
    assert list(pictures[("a", "tiled")]) == [1, 2]
    kept = cv2.imread(str(RunFiles(run.run_id).path(pictures[("a", "tiled")][2])), 0)
    assert np.array_equal(kept, mask * np.uint8(255))


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", "removed"])
def test_a_left_over_run_id_never_fills_a_run_that_has_ended(
    client, tiny_experiment, monkeypatch, caplog, status
):
    old = client.create_run(client.create_experiment("Tiny")).info.run_id
    if status == "removed":
        old = "0" * 32
    else:
        client.set_terminated(old, status)
    monkeypatch.setenv("MLFLOW_RUN_ID", old)
    with open_run(tiny_experiment(), "train") as run:
        assert run.run_id != old
    assert f"names run {old}, which is" in caplog.text
    if status != "removed":
        assert client.get_run(old).info.status == status


def test_what_is_not_defined_in_an_epoch_is_no_metric_of_it(client, tiny_experiment):
    with open_run(tiny_experiment(), "train") as run:
        for epoch, value in ((1, float("nan")), (2, 0.25)):
            metrics = {"loss": 0.5, "val_dice_rare": value}
            run.on_epoch_end(EpochReport(epoch, 2, metrics, True, 1.0, 1.0))
    assert only_run(client).data.metrics == {"loss": 0.5, "val_dice_rare": 0.25}
    history = client.get_metric_history(run.run_id, "val_dice_rare")
    assert [(each.step, each.value) for each in history] == [(2, 0.25)]


@pytest.mark.parametrize("stem", ["img (1)", "Größe_01", "a#b", "50% ~ + x", "a=b", "a.b [c]"])
def test_epoch_masks_of_every_stem_come_back(tiny_experiment, stem):
    with open_run(tiny_experiment(), "train") as run:
        run.on_epoch_masks(EpochPicture(3, stem, "resized", np.ones((8, 9), np.uint8)))
    pictures = RunFiles(run.run_id).epoch_pictures()
    assert list(pictures) == [(stem, "resized")]
    assert RunFiles(run.run_id).path(pictures[(stem, "resized")][3]).is_file()


def test_a_full_disk_ends_the_run_and_says_so(client, tiny_experiment, monkeypatch):
    def no_room(*_, **__):
        raise OSError(28, "No space left on device")

    with (
        pytest.raises(OutputError, match="No space left"),
        open_run(tiny_experiment(), "train") as run,
    ):
        run.on_epoch_end(EpochReport(1, 2, {"loss": 0.5}, True, 1.0, 1.0))
        monkeypatch.setattr("pathlib.Path.write_text", no_room)
        run.on_epoch_end(EpochReport(2, 2, {"loss": 0.4}, True, 1.0, 1.0))
    assert only_run(client).info.status == "FAILED"
    assert "No space left" in only_run(client).data.tags[ERROR_TAG]


def test_settings_that_a_resumption_has_changed_are_told_in_tags(client, tiny_experiment):
    with pytest.raises(KeyboardInterrupt), open_run(tiny_experiment(), "train") as first:
        first.log_experiment(tiny_experiment())
        raise KeyboardInterrupt
    longer = tiny_experiment(training={"epochs": 9})
    with open_run(longer, "train", resume=first.run_id) as second:
        second.log_experiment(longer)
    data = only_run(client).data
    assert data.params["training.epochs"] == "2"
    tags = {key: text for key, text in data.tags.items() if key.startswith("tiledseg.set.")}
    assert tags == {"tiledseg.set.training.epochs": "9"}
    assert read_experiment(first.run_id) == longer


@pytest.fixture
def left(tiny_experiment):
    """A run whose process could not send its last epoch, nor how it ended."""

    def leave(status):
        with pytest.raises(KeyboardInterrupt), open_run(tiny_experiment(), "train") as first:
            raise KeyboardInterrupt
        outbox = Outbox(run_folder(first.run_id) / "outbox")
        outbox.add("batch", {"metrics": [["loss", 0.5, 7, 1]], "params": {}, "tags": {}})
        outbox.add("end", {"status": status, "error": "", "moment": 8})
        return first.run_id

    return leave


def test_what_an_earlier_process_left_is_sent_before_the_run_goes_on(client, tiny_experiment, left):
    run_id = left("KILLED")
    with open_run(tiny_experiment(), "train", resume=run_id) as second:
        assert client.get_run(run_id).info.status == "RUNNING"
        second.on_epoch_end(EpochReport(1, 2, {"loss": 0.5}, True, 1.0, 1.0))
    (loss,) = client.get_metric_history(run_id, "loss")
    assert (loss.value, loss.timestamp) == (0.5, 7)
    assert only_run(client).info.status == "FINISHED"


def test_a_run_that_had_only_to_be_sent_is_finished_by_that(client, tiny_experiment, left):
    run_id = left("FINISHED")
    with pytest.raises(TrackingError, match="is FINISHED and stays"):
        open_run(tiny_experiment(), "train", resume=run_id).__enter__()
    assert only_run(client).info.status == "FINISHED"
    assert len(client.get_metric_history(run_id, "loss")) == 1


def test_a_run_that_ends_well_just_before_it_is_taken_stays_as_it_is(
    client, tiny_experiment, monkeypatch
):
    with pytest.raises(KeyboardInterrupt), open_run(tiny_experiment(), "train") as first:
        raise KeyboardInterrupt
    take = runs.Ownership

    def end_and_take(*given):
        client.set_terminated(first.run_id, "FINISHED")
        return take(*given)

    monkeypatch.setattr(runs, "Ownership", end_and_take)
    with pytest.raises(TrackingError, match="is FINISHED and stays"):
        open_run(tiny_experiment(), "train", resume=first.run_id).__enter__()
    assert only_run(client).info.status == "FINISHED"
    assert OWNER_TAG not in only_run(client).data.tags
