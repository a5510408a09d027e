import json
import threading
import time

import psutil
import pytest

from tiledseg.errors import DatasetError, ExperimentError, SweepError, TilingError, TrainingError
from tiledseg.tuning.execution.trial_main import explain_failure
from tiledseg.tuning.execution.trial_process import TrialLimits, TrialProcess

LIMITS = TrialLimits(seconds=60, memory_gb=4)


def children():
    """Processes that began here; a browser of other tests may be among them."""
    return set(psutil.Process().children(recursive=True))


@pytest.fixture
def run(tiny_experiment, fake_command):
    """Run a fake trial; returns the outcome and the epochs that were reported."""

    def start(plan=None, *, limits=LIMITS, prune_at=0, most_parameters=None, stop=None):
        experiment = tiny_experiment(training={"epochs": 5}, model={"base_filters": 8})
        request = {
            "do": "train",
            "experiment": experiment.to_yaml(),
            "root": None,
            "splits": ["valid"],
            "count_parameters": most_parameters is not None,
        }
        seen = []

        def on_epoch(end):
            seen.append(end.epoch)
            assert end.is_last == (end.epoch == 5)
            return "not good enough" if end.epoch == prune_at else ""

        def on_built(parameters):
            return f"{parameters} is too many" if parameters > most_parameters else ""

        before = children()
        environment = {"FAKE_TRIAL": json.dumps(plan or {})}
        process = TrialProcess(request, limits, environment, fake_command)
        outcome = process.run(on_epoch, on_built, stop)
        assert children() <= before
        return outcome, seen

    return start


def test_a_trial_that_ends_well(run):
    outcome, seen = run()
    assert (outcome.kind, outcome.reason, outcome.epochs) == ("complete", "", 5)
    assert seen == [1, 2, 3, 4, 5]
    assert outcome.metrics["valid/tiled/dice"] == pytest.approx(0.875)
    assert outcome.peak_memory_gb > 0


def test_a_pruned_trial_is_left_to_close_its_run(run):
    outcome, seen = run(prune_at=2)
    assert (outcome.kind, outcome.reason) == ("pruned", "not good enough")
    assert seen == [1, 2]


def test_too_many_parameters_are_rejected_before_training(run):
    outcome, seen = run(most_parameters=7999)
    assert (outcome.kind, outcome.reason) == ("infeasible", "8000 is too many")
    assert outcome.parameters == 8000
    assert seen == []
    assert run(most_parameters=8000)[0].kind == "complete"


@pytest.mark.parametrize(
    ("plan", "limits", "kind", "words"),
    [
        ({"fail": 0}, LIMITS, "diverged", ["nan"]),
        ({"die": 0}, LIMITS, "killed", ["signal 9"]),
        ({"crash": 0}, LIMITS, "error", ["code 1", "Segmentation something"]),
        ({"hang": 0}, TrialLimits(2, 4), "time", ["out of time"]),
        ({"eat": 0}, TrialLimits(60, 0.2), "memory", ["out of memory", "0.2 GB"]),
    ],
)
def test_ends_that_are_not_good(run, plan, limits, kind, words):
    outcome, _ = run(plan, limits=limits)
    assert outcome.kind == kind
    for word in words:
        assert word in outcome.reason


def test_a_trial_that_is_to_stop(run):
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    began = time.monotonic()
    outcome, _ = run({"hang": 0}, stop=stop)
    assert outcome.kind == "interrupted"
    assert time.monotonic() - began < 10


def test_an_error_of_the_worker_ends_the_process(tiny_experiment, fake_command):
    def on_epoch(end):
        raise RuntimeError("the storage is away")

    request = {
        "do": "train", "experiment": tiny_experiment().to_yaml(), "root": None,
        "splits": [], "count_parameters": False,
    }  # fmt: skip
    before = children()
    with pytest.raises(RuntimeError, match="storage"):
        TrialProcess(request, LIMITS, {}, fake_command).run(on_epoch)
    assert children() <= before


class ResourceExhaustedError(Exception):
    """As TensorFlow calls it."""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TilingError("no room"), "infeasible"),
        (ExperimentError("no such thing"), "infeasible"),
        (SweepError("no such objective"), "infeasible"),
        (TrainingError("the loss is nan"), "diverged"),
        (DatasetError("no mask"), "unavailable"),
        (OSError("disk full"), "unavailable"),
        (MemoryError("no memory"), "memory"),
        (ResourceExhaustedError("no memory"), "memory"),
        (ZeroDivisionError("by zero"), "error"),
    ],
)
def test_what_an_error_says_about_a_trial(error, outcome):
    found = explain_failure(error)
    assert found["outcome"] == outcome
    assert str(error) in found["reason"]
