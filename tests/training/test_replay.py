"""Rates are kept step by step, across sessions, and replayed."""

from itertools import chain

import pytest

from tiledseg.config import TrainingSettings
from tiledseg.errors import TrackingError
from tiledseg.training.replay import RateRecord, ReplayedRate, parse_rates, tabulate_rates
from tiledseg.training.schedule import Clock, CosineRate

SETTINGS = TrainingSettings(epochs=3, steps_per_epoch=4, warmup_steps=2, learning_rate=0.1)


def test_the_rate_of_every_step_is_kept(train):
    record = RateRecord(is_steady=False)
    recorder = train(SETTINGS, CosineRate(SETTINGS, Clock(SETTINGS)), record)
    assert [len(epoch) for epoch in record.rates] == [4, 4, 4]
    assert list(chain(*record.rates)) == recorder.step_rates


def test_a_steady_rate_is_read_once_an_epoch(train):
    record = RateRecord(is_steady=True)
    recorder = train(SETTINGS, record)
    assert list(chain(*record.rates)) == recorder.step_rates


def test_steps_of_an_earlier_session_are_not_kept_again(train):
    record = RateRecord(is_steady=True)
    record.restore({"rates": [[1.0] * 4, [2.0, 3.0]]})
    train(SETTINGS, record, first_epoch=1)
    assert record.rates[0] == [1.0] * 4
    assert record.rates[1] == pytest.approx([2.0, 3.0, 0.1, 0.1])
    assert len(record.rates[2]) == 4


def test_what_was_kept_is_trained_again_and_no_more(train):
    rates = [[0.5, 0.25, 0.125, 0.5], [0.25, 0.75]]
    record = RateRecord(is_steady=False)
    recorder = train(SETTINGS, ReplayedRate(rates), record)
    assert recorder.step_rates == list(chain(*rates))
    assert record.rates == rates
    assert len(recorder.epoch_rates) == 2


def test_nothing_else_ends_a_replay(train, network):
    class Impatient(ReplayedRate):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    rates = [[0.5] * 4] * 3
    assert len(train(SETTINGS, Impatient(rates), ReplayedRate(rates)).epoch_rates) == 3


def test_rates_go_through_csv_unchanged():
    rates = [[0.1, 1 / 3], [1e-300]]
    assert parse_rates(tabulate_rates(rates), "run 0123") == rates


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch,step,learning_rate\n",
        "epoch,step,learning_rate\n1,2,0.1\n",
        "a\n\n",
        "a\n1,1,x\n",
    ],
)
def test_a_file_that_was_changed_is_refused(text):
    with pytest.raises(TrackingError, match="run 0123: its file of learning rates"):
        parse_rates(text, "run 0123")
