"""What happens at the end of batches and epochs: choosing, stopping, saving, telling."""

import json
import logging
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest

from tiledseg.config import ModelSettings, TrainingSettings
from tiledseg.data.dataset import load_dataset
from tiledseg.errors import TrainingError
from tiledseg.images.reading import read_image
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor
from tiledseg.training import schedule
from tiledseg.training.callbacks import (
    AveragedWeights,
    BestEpoch,
    EpochPictures,
    FiniteLoss,
    PlateauRate,
    Reports,
    ReseededDropout,
)
from tiledseg.training.schedule import Clock


class Script(keras.callbacks.Callback):
    """Puts values into the logs as if validation had measured them."""

    def __init__(self, values: Sequence[float], name: str = "val_dice") -> None:
        super().__init__()
        self._values, self._name = values, name

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self._name] = self._values[epoch]


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings.model_validate(
        {"epochs": 8, "steps_per_epoch": 1, "learning_rate": 0.1, **changes}
    )


class TestBestEpoch:
    @pytest.mark.parametrize(
        ("values", "best", "trained"),
        [
            ([0.1, 0.5, 0.4, 0.5, 0.3, 0.9, 0.9, 0.9], 2, 5),  # an equal value is no better one
            ([0.5, 0.4, 0.4, 0.4, 0.9, 0.9, 0.9, 0.9], 1, 4),
            ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 8, 8),
            ([0.5, 0.4, 0.4, 0.6, 0.1, 0.1, 0.7, 0.1], 7, 8),  # each time just before patience ends
            ([math.nan, 0.1, math.nan, 0.2, 0.1, 0.1, 0.1, 0.9], 4, 7),
        ],
    )
    def test_keeps_the_first_best_and_stops_after_patience(self, train, values, best, trained):
        watched = BestEpoch(settings(patience=3))
        recorder = train(settings(), Script(values), watched)
        assert watched.epoch == best
        assert len(recorder.weights) == trained

    def test_a_loss_is_best_where_it_is_least(self, train):
        watched = BestEpoch(settings(monitor="val_loss"))
        train(settings(epochs=4), Script([0.5, 0.2, 0.3, 0.4], "val_loss"), watched)
        assert watched.epoch == 2

    def test_knows_whether_the_last_epoch_is_the_best(self, train):
        watched = BestEpoch(settings())
        seen = []
        spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(watched.is_last))
        train(settings(epochs=4), Script([0.1, 0.3, 0.2, 0.4]), watched, spy)
        assert seen == [True, True, False, True]

    def test_without_any_number_there_is_none(self, train):
        watched = BestEpoch(settings())
        train(settings(epochs=2), Script([math.nan, math.nan]), watched)
        assert watched.epoch == 0

    def test_its_state_survives_json(self):
        first, second = BestEpoch(settings()), BestEpoch(settings())
        second.restore(json.loads(json.dumps(first.state())))
        assert second.state() == first.state()

    def test_says_why_it_stops(self, train, caplog):
        with caplog.at_level(logging.INFO):
            train(settings(), Script([0.5] * 8), BestEpoch(settings(patience=2)))
        assert "no better val_dice for 2 epochs: stopping" in caplog.text


class TestPlateauRate:
    @pytest.mark.parametrize(
        ("values", "rates"),
        [
            # epoch 1 is the best: lowered after epochs 3, 5 and 7, and not before
            ([0.9] + [0.1] * 7, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]),
            # a better epoch begins the count anew
            ([0.1, 0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.1], [1, 1, 1, 1, 1, 1, 0.5, 0.5]),
            ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [1] * 8),
        ],
    )
    def test_lowers_the_rate_after_patience_and_not_before(self, train, values, rates):
        chosen = settings(reducer_factor=0.5, reducer_patience=2, patience=99)
        best = BestEpoch(chosen)
        recorder = train(chosen, Script(values), best, PlateauRate(chosen, best))
        assert recorder.epoch_rates == pytest.approx([0.1 * rate for rate in rates])


class TestFiniteLoss:
    @pytest.mark.parametrize(("weight", "loss"), [(math.nan, "nan"), (1e30, "inf")])
    def test_names_the_keys_to_change(self, network, train, weight, loss):
        network.set_weights([np.array([[weight]], np.float32)])
        with pytest.raises(TrainingError) as caught:
            train(settings(steps_per_epoch=5), FiniteLoss())
        message = str(caught.value)
        assert f"the loss, at batch 1, is {loss} with learning rate 0.1" in message
        assert "lower training.learning_rate or training.clipnorm" in message

    def test_looks_at_validation_too(self, train):
        with pytest.raises(TrainingError, match="val_loss, after epoch 2, is nan"):
            train(settings(), Script([0.5, math.nan], "val_loss"), FiniteLoss())

    def test_lets_numbers_pass(self, train):
        assert len(train(settings(), Script([0.5] * 8, "val_loss"), FiniteLoss()).weights) == 8


class TestReseededDropout:
    @staticmethod
    def states(epoch: int, seed: int = 1) -> list[tuple[int, ...]]:
        """Random states of a network's dropout layers at the beginning of an epoch."""
        model = build_model(ModelSettings(base_filters=1, num_layers=2, dropout_rate=0.1), 1)
        callback = ReseededDropout(TrainingSettings(seed=seed))
        callback.set_model(model)
        callback.on_epoch_begin(epoch)
        return [
            tuple(keras.ops.convert_to_numpy(layer.seed_generator.state).tolist())
            for layer in model.layers
            if isinstance(layer, keras.layers.Dropout)
        ]

    def test_depends_on_seed_and_epoch_alone(self):
        assert self.states(3) == self.states(3)
        assert not set(self.states(3)) & set(self.states(4))
        assert not set(self.states(3)) & set(self.states(3, seed=2))

    def test_layers_differ(self):
        assert len(set(self.states(3))) == 3


class TestAveragedWeights:
    def test_validation_and_checkpoints_see_the_average(self, network, train):
        """One weight w with loss (w - 3)**2: each step is w <- w - 0.2 (w - 3)."""
        optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
        network.compile(optimizer, "mse", run_eagerly=True)
        weight, average, expected = float(network.get_weights()[0].item()), None, []
        for _ in range(5):
            weight -= 0.2 * (weight - 3)
            average = weight if average is None else 0.5 * average + 0.5 * weight
            expected.append(average)
        recorder = train(settings(epochs=5), AveragedWeights(resumed=False), validation=1)
        assert recorder.weights == pytest.approx(expected, rel=1e-5, abs=1e-6)


class TestReports:
    @pytest.fixture
    def now(self, monkeypatch):
        """Seconds on the clock; set the item."""
        seconds = [100.0]

        class Time:
            monotonic = staticmethod(lambda: seconds[0])

        monkeypatch.setattr(schedule, "time", Time)
        return seconds

    def test_every_observer_is_told_every_batch_and_epoch(self, train, listen):
        chosen = settings(epochs=2, steps_per_epoch=3)
        listeners = [listen(), listen()]
        best = BestEpoch(chosen)
        reports = Reports(chosen, Clock(chosen), best, listeners)
        train(chosen, Script([0.6, 0.5]), best, reports)
        for listener in listeners:
            assert [batch[:3] for batch in listener.batches] == [
                (epoch, batch, 3) for epoch in (1, 2) for batch in (1, 2, 3)
            ]
            assert all(type(batch[3]["loss"]) is float for batch in listener.batches)
            assert [report.epoch for report in listener.reports] == [1, 2]
            assert [report.epochs for report in listener.reports] == [2, 2]
            assert [report.is_best for report in listener.reports] == [True, False]
            assert listener.reports[0].metrics["val_dice"] == 0.6
            assert listener.reports[0].metrics["learning_rate"] == pytest.approx(0.1)
        assert reports.history == [
            {"epoch": report.epoch, **report.metrics} for report in listeners[0].reports
        ]

    def test_foretells_the_end_from_the_pace_and_the_budget(self, train, now, listen):
        chosen = settings(epochs=4, max_minutes=1.0)
        listener = listen()
        clock, best = Clock(chosen, earlier=5.0), BestEpoch(chosen)
        reports = Reports(chosen, clock, best, [listener])
        slow = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: now.__setitem__(0, now[0] + 10.0)
        )
        train(chosen, slow, Script([0.5] * 4), best, reports)
        assert [report.elapsed for report in listener.reports] == [15.0, 25.0, 35.0, 45.0]
        assert [report.remaining for report in listener.reports] == [30.0, 20.0, 10.0, 0.0]
        now[0] += 10.0
        reports.on_epoch_end(1, {})  # the second epoch again: 20 s to go, 5 s of them left
        assert listener.reports[-1].remaining == 5.0


class TestEpochPictures:
    @pytest.mark.parametrize("count", [0, 1, 2, 5])
    def test_reach_every_observer_tiled_and_whole(
        self, tiny_dataset, tiny_experiment, listen, count
    ):
        folder = tiny_dataset()
        experiment = tiny_experiment(training={"epoch_pictures": count})
        samples = load_dataset(experiment.dataset, folder.parent).splits["valid"]
        keras.utils.set_random_seed(1)
        model = build_model(experiment.model, 3)
        listeners = [listen(), listen()]
        callback = EpochPictures(experiment, samples, listeners)
        callback.set_model(model)
        callback.on_epoch_end(4)
        shown = samples[:count]
        for listener in listeners:
            assert [
                (picture.stem, picture.mode, picture.epoch) for picture in listener.pictures
            ] == [(sample.stem, mode, 5) for sample in shown for mode in ("tiled", "resized")]
        predictor = Predictor(model, experiment)
        for picture in listeners[0].pictures:
            sample = next(sample for sample in shown if sample.stem == picture.stem)
            expected = predictor.mask(read_image(sample.image), picture.mode)
            np.testing.assert_array_equal(picture.mask, expected)
