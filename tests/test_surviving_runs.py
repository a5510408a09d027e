"""Trainings that are killed, stopped, put to sleep and doubled, as commands, go on as one run."""

import os
import random
import re
import signal
import subprocess
import time

import pytest
from surviving import Place, assert_one_whole_run, curves, finish, write_experiment

from tiledseg.tracking.files import RunFiles

pytestmark = pytest.mark.soak

KILLS = int(os.environ.get("TILEDSEG_TEST_KILLS", "3"))
"""The full length is 10; it is run by hand."""


@pytest.fixture
def place(tmp_path, tiny_dataset, mlflow_store):
    made = Place(tmp_path, tiny_dataset(tmp_path), mlflow_store.environment)
    yield made
    made.stop()


@pytest.fixture
def experiment(tmp_path, tiny_experiment):
    return write_experiment(tmp_path, tiny_experiment())


@pytest.fixture
def unbroken(place, experiment):
    """Curves of the same training, never disturbed, in another store."""
    finish(place.train(experiment, machine="calm"))
    run_id = place.only_run().info.run_id
    seen = curves(place.client, run_id)
    place.client.delete_run(run_id)
    place.client.delete_registered_model("Tiny")
    for model in place.client.search_logged_models(
        experiment_ids=[place.client.get_run(run_id).info.experiment_id]
    ):
        place.client.delete_logged_model(model.model_id)
    return seen


def test_killed_at_random_moments_and_resumed_on_other_machines(place, experiment, unbroken):
    dice = random.Random(7)
    process, run_id, kills = place.train(experiment), "", 0
    while kills < KILLS:
        try:
            process.wait(dice.uniform(6.0, 14.0))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        kills += 1
        runs = place.runs()
        run_id = runs[0].info.run_id if runs else ""
        if run_id and runs[0].info.status == "FINISHED":
            break
        machine = "ab"[kills % 2]
        process = (
            place.resume(run_id, machine) if run_id else place.train(experiment, machine=machine)
        )
    output, _ = process.communicate(timeout=600)
    assert place.only_run().info.status == "FINISHED", output
    run_id = place.only_run().info.run_id
    assert_one_whole_run(place, run_id)
    for key, curve in curves(place.client, run_id).items():
        assert [value for _, value in curve] == pytest.approx(
            [value for _, value in unbroken[key]], abs=1e-6
        ), key


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_stop_it_saves_and_says_how_to_go_on(place, experiment, number, code):
    process = place.train(experiment)
    run_id = place.wait_for_epoch(1)
    process.send_signal(number)
    output = finish(process, code)
    assert f"tiledseg train --resume {run_id}" in output
    assert "Traceback" not in output
    assert place.only_run().info.status == "KILLED"
    finish(place.start("train", "--dataset", "Tiny", "--resume", "last", machine="b"))
    assert_one_whole_run(place, run_id)


def test_a_process_that_slept_while_its_run_went_on_leaves_it_alone(place, experiment):
    process = place.train(experiment)
    run_id = place.wait_for_epoch(1)
    os.kill(process.pid, signal.SIGSTOP)
    finish(place.resume(run_id, "b"))
    assert_one_whole_run(place, run_id)
    before = place.only_run().to_dictionary()
    os.kill(process.pid, signal.SIGCONT)
    output = finish(process, 1)
    assert f"tiledseg: run {run_id} belongs to nobody now" in output.strip().splitlines()[-1]
    assert "Traceback" not in output
    assert place.only_run().to_dictionary() == before
    assert_one_whole_run(place, run_id)


def test_of_two_that_resume_at_once_one_goes_on(place, experiment):
    process = place.train(experiment)
    run_id = place.wait_for_epoch(1)
    process.kill()
    process.communicate()
    both = [place.resume(run_id, machine) for machine in "ab"]
    outputs = [each.communicate(timeout=600)[0] for each in both]
    assert sorted(each.returncode for each in both) == [0, 1], outputs
    loser = next(text for each, text in zip(both, outputs, strict=True) if each.returncode)
    assert re.search(rf"run {run_id} (belongs to process \d+ on|is FINISHED)", loser)
    assert_one_whole_run(place, run_id)


def test_killed_before_its_first_epoch_it_begins_anew_under_its_id(place, experiment):
    process = place.train(experiment)
    while not place.runs() or not RunFiles(place.only_run().info.run_id).has("experiment.yaml"):
        time.sleep(0.05)
    process.kill()
    process.communicate()
    run_id = place.only_run().info.run_id
    assert not place.client.get_metric_history(run_id, "loss")
    finish(place.resume(run_id, "b"))
    assert_one_whole_run(place, run_id)


def test_a_finished_run_goes_on_as_a_new_one(place, experiment):
    finish(place.train(experiment))
    first = place.only_run()
    refused = finish(place.resume(first.info.run_id), 1)
    assert "is FINISHED and stays as it is" in refused
    words = ["train", "--resume", first.info.run_id]
    refused = finish(place.start(*words, "--set", "training.learning_rate=0.5"), 1)
    assert "--set training.learning_rate would change the numbers" in refused
    finish(place.start(*words, "--set", "training.epochs=7", machine="b"))
    second = next(run for run in place.runs() if run.info.run_id != first.info.run_id)
    assert second.data.tags["tiledseg.resumed_from"] == first.info.run_id
    steps = [step for step, _ in curves(place.client, second.info.run_id)["loss"]]
    assert steps == [6, 7]
    assert place.client.get_run(first.info.run_id).to_dictionary() == first.to_dictionary()
