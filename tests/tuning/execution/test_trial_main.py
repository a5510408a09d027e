"""What a trial's process tells its worker, without training."""

import numpy as np
import pytest

from tiledseg.errors import SweepError
from tiledseg.images.writing import write_image, write_labels
from tiledseg.training.observer import EpochReport
from tiledseg.tuning.execution import trial_main
from tiledseg.tuning.execution.trial_main import TrialReporter, explain_failure


class Worker:
    """The other end of the line."""

    def __init__(self, *answers):
        self.heard, self.answers = [], list(answers)

    def send(self, message):
        self.heard.append(message)

    def receive(self):
        return self.answers.pop(0)


def report(epoch, *, epochs=5, elapsed=10.0, remaining=100.0, is_best=True, loss=0.5):
    metrics = {"loss": loss, "val_dice_coef": 0.5}
    return EpochReport(epoch, epochs, metrics, is_best, elapsed, remaining)


GO, STOP = {"go_on": True}, {"go_on": False}


def test_every_epoch_is_reported_and_leave_is_asked():
    worker = Worker(GO, GO, STOP)
    reporter = TrialReporter(worker)
    reporter.on_epoch_end(report(1, loss=0.5))
    reporter.on_epoch_end(report(2, loss=0.9, is_best=False))
    assert reporter.best_epoch["loss"] == 0.5
    with pytest.raises(SystemExit):
        reporter.on_epoch_end(report(3))
    assert [message["epoch"] for message in worker.heard] == [1, 2, 3]
    assert worker.heard[0]["metrics"]["val_dice_coef"] == 0.5


def test_a_worker_that_is_gone_ends_it():
    with pytest.raises(SystemExit):
        TrialReporter(Worker(None)).on_epoch_end(report(1))


@pytest.mark.parametrize(
    ("case", "is_last"),
    [
        ({"epoch": 4}, False),
        ({"epoch": 5}, True),
        ({"epoch": 2, "elapsed": 20.0, "remaining": 0.0}, False),  # no time, but epochs
    ],
)
def test_which_epoch_is_the_last(case, is_last):
    worker = Worker(GO)
    TrialReporter(worker).on_epoch_end(report(**case))
    assert worker.heard[0]["is_last"] == is_last


def test_how_long_training_and_evaluation_took(monkeypatch):
    now = 100.0
    monkeypatch.setattr("tiledseg.tuning.execution.trial_main.time.monotonic", lambda: now)
    reporter = TrialReporter(Worker(GO))
    assert reporter.busy_seconds == 0.0
    reporter.on_epoch_end(report(1, elapsed=30.0))
    now = 112.0
    reporter.on_image(None)
    assert reporter.busy_seconds == 42.0


@pytest.mark.parametrize(
    ("shown", "objective", "words"),
    [
        (2, "valid/tiled/dice/rare", ""),
        (1, "valid/tiled/dice/rare", "no validation image has class rare"),
        (1, "valid/tiled/dice", ""),
        (0, "valid/tiled/dice", "no validation image has a class but the background"),
    ],
)
def test_preparing_looks_whether_trials_will_have_the_objective(
    tmp_path, tiny_experiment, shown, objective, words
):
    """The largest label of the training masks is 2, that of the validation masks varies."""
    for number, (split, largest) in enumerate([("train", 2), ("valid", shown), ("test", 2)]):
        labels = np.zeros((48, 48), np.uint8)
        for label in range(largest + 1):
            labels[8 * label : 8 * label + 8, 4:40] = label
        folder = tmp_path / "data" / "Tiny" / split
        image = np.full((48, 48, 3), 40 * number, np.uint8)
        write_image(folder / "images" / f"{number}.png", image)
        write_labels(folder / "masks" / f"{number}.png", labels, 3)
    experiment = tiny_experiment(
        dataset={"mask_form": "labels", "classes": ["background", "common", "rare"]},
        model={"num_classes": 3},
    )
    request = {
        "do": "prepare",
        "experiment": experiment.to_yaml(),
        "root": None,
        "objectives": [objective],
    }
    if not words:
        assert trial_main._serve(request, None)["digest"]
        return
    with pytest.raises(SweepError, match=words) as refused:
        trial_main._serve(request, None)
    told = explain_failure(refused.value)
    assert told == {"outcome": "infeasible", "reason": str(refused.value)}
