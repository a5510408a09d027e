"""The rate follows its formula into the optimizer, and the budget is kept."""

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.config import TrainingSettings
from tiledseg.training import schedule
from tiledseg.training.schedule import Clock, CosineRate, TimeBudget, cosine_rate

COSINE = TrainingSettings(epochs=5, steps_per_epoch=20, warmup_steps=0, learning_rate=0.1)

SHORT = COSINE.model_copy(update={"epochs": 3, "steps_per_epoch": 4})


class FakeTime(keras.callbacks.Callback):
    """A clock that stands still but for batches, which take as long as they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.step, self.validation_step = 2.0, 2.0
        self.steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.now += self.step
        self.steps += 1

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.now += self.validation_step


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(schedule, "time", SimpleNamespace(monotonic=lambda: fake.now))
    return fake


class TestCosine:
    def test_falls_from_the_full_rate_to_a_hundredth(self):
        rates = [cosine_rate(COSINE, step, 0.0) for step in range(101)]
        assert rates[0] == pytest.approx(0.1)
        assert rates[50] == pytest.approx(0.1 * (0.01 + 0.99 / 2))
        assert rates[100] == pytest.approx(0.001)
        assert all(later < earlier for earlier, later in pairwise(rates))

    def test_at_a_quarter_by_hand(self):
        assert cosine_rate(COSINE, 25, 0.0) == pytest.approx(
            0.1 * (0.01 + 0.99 * (1 + math.sqrt(0.5)) / 2)
        )

    def test_warms_up_linearly_from_the_first_step(self):
        settings = COSINE.model_copy(update={"warmup_steps": 10})
        cold = [cosine_rate(COSINE, step, 0.0) for step in range(12)]
        warm = [cosine_rate(settings, step, 0.0) for step in range(12)]
        ratios = [b / a for a, b in zip(cold, warm, strict=True)]
        assert ratios == pytest.approx([*(n / 10 for n in range(1, 11)), 1.0, 1.0])
        assert warm[0] > 0

    @given(step=st.integers(0, 200), spent=st.floats(0, 1))
    def test_the_further_of_steps_and_time_decides(self, step, spent):
        rate = cosine_rate(COSINE, step, spent)
        assert rate == min(cosine_rate(COSINE, step, 0.0), cosine_rate(COSINE, 0, spent))
        assert 0.001 * (1 - 1e-9) <= rate <= 0.1

    def test_ends_with_the_budget(self):
        assert cosine_rate(COSINE, 3, 1.0) == pytest.approx(0.001)

    def test_reaches_the_optimizer_before_every_step(self, train):
        recorder = train(SHORT, CosineRate(SHORT, Clock(SHORT)))
        expected = [cosine_rate(SHORT, step, 0.0) for step in range(12)]
        assert recorder.step_rates == pytest.approx(expected)

    def test_goes_on_where_an_earlier_session_ended(self, train):
        recorder = train(SHORT, CosineRate(SHORT, Clock(SHORT)), first_epoch=2)
        expected = [cosine_rate(SHORT, step, 0.0) for step in range(8, 12)]
        assert recorder.step_rates == pytest.approx(expected)

    def test_follows_time_where_there_is_a_budget(self, train, time):
        settings = SHORT.model_copy(update={"max_minutes": 1.0})
        time.step = 10.0
        recorder = train(settings, time, CosineRate(settings, Clock(settings)))
        half = 3  # steps of 10 s in half of the budget
        assert recorder.step_rates[half] == pytest.approx(cosine_rate(SHORT, 6, 0.0))
        assert recorder.step_rates[2 * half :] == pytest.approx([0.001] * 6)


class TestClock:
    def test_counts_earlier_sessions(self, time):
        clock = Clock(TrainingSettings(max_minutes=1.0), earlier=45.0)
        assert (clock.elapsed, clock.remaining, clock.fraction) == (45.0, 15.0, 0.75)
        time.now += 6.0
        assert (clock.elapsed, clock.remaining, clock.fraction) == (51.0, 9.0, 0.85)
        time.now += 60.0
        assert (clock.elapsed, clock.remaining, clock.fraction) == (111.0, 0.0, 1.0)

    def test_without_a_budget_nothing_is_spent(self, time):
        clock = Clock(TrainingSettings())
        time.now += 1e6
        assert (clock.elapsed, clock.remaining, clock.fraction) == (1e6, math.inf, 0.0)


class TestTimeBudget:
    """Steps take 2 s, a validation of 3 batches takes 6 s, and there is a minute."""

    settings = TrainingSettings(epochs=50, steps_per_epoch=10, max_minutes=1.0)

    def sit(self, train, time, settings, earlier=0.0, budget=True):
        """Seconds that the training takes."""
        began = time.now
        watch = [TimeBudget(Clock(settings, earlier))] if budget else []
        train(settings, time, *watch, validation=3)
        return time.now - began

    def test_is_kept_and_used_up_with_room_for_the_last_validation(self, train, time):
        seconds = self.sit(train, time, self.settings)
        assert 60 - 2 < seconds <= 60 + 2
        assert seconds == 2 * time.steps + 6 * math.ceil(time.steps / 10)

    def test_without_it_training_goes_on(self, train, time):
        short = self.settings.model_copy(update={"epochs": 4})
        assert self.sit(train, time, short, budget=False) == 4 * (20 + 6)

    @pytest.mark.parametrize(
        ("step", "validation_step"), [(5.5, 0.5), (0.5, 7.0), (11.0, 1.0), (7.0, 0.0), (3.7, 4.3)]
    )
    def test_is_kept_up_to_a_step_whatever_is_slow(self, train, time, step, validation_step):
        time.step, time.validation_step = step, validation_step
        settings = self.settings.model_copy(update={"steps_per_epoch": 5})
        assert self.sit(train, time, settings) <= 60 + step + 1e-6

    def test_in_the_first_epoch_a_validation_more_is_needed(self, train, time):
        """How long it takes is not known yet."""
        settings = self.settings.model_copy(update={"steps_per_epoch": 1000})
        assert self.sit(train, time, settings) == 60 + 6
        assert time.steps == 30

    def test_a_slow_step_is_the_last_one(self, train, time):
        time.step = 70.0
        assert self.sit(train, time, self.settings) == 70 + 6
        assert time.steps == 1

    def test_time_of_earlier_sessions_counts(self, train, time):
        assert self.sit(train, time, self.settings, earlier=40.0) == 20 + 6
        assert time.steps == 10

    def test_without_a_budget_all_epochs_are_trained(self, train, time):
        settings = TrainingSettings(epochs=3, steps_per_epoch=10)
        assert self.sit(train, time, settings) == 3 * (20 + 6)
