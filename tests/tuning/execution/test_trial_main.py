"""What a trial's process tells its worker, without training."""

import pytest

from tiledseg.training.observer import EpochReport
from tiledseg.tuning.execution.trial_main import TrialReporter


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
