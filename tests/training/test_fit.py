"""A training learns, repeats, goes on where it was power_cut, and says what went wrong.

All of it on real files, through ``fit``. Trainings that several tests look at are done once.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset, load_dataset
from tiledseg.data.sampling.validation_tiles import ValidationTiles
from tiledseg.errors import TilingError, TrainingError
from tiledseg.training import fit as fit_module
from tiledseg.training.fit import Training, compile_model, fit
from tiledseg.training.losses import LOSSES
from tiledseg.training.metrics import Dice
from tiledseg.training.schedule import cosine_rate
from tiledseg.training.session import STATE_FILE, epoch_file

Sit = Callable[..., Training]
COLUMNS = {"loss", "val_loss", "dice_coef", "val_dice_coef", "dice", "val_dice", "learning_rate"}


@dataclass(frozen=True)
class Desk:
    """Where all trainings of this file sit."""

    dataset: Dataset
    cache: PixelCache
    folder: Path

    def sit(
        self, experiment: Experiment, place: str, observers: Sequence[Any] = (), **options: Any
    ) -> Training:
        folder = self.folder / place
        folder.mkdir(exist_ok=True)
        return fit(experiment, self.dataset, self.cache, folder, observers, **options)


@pytest.fixture(scope="module")
def desk(tmp_path_factory, tiny_dataset, tiny_experiment) -> Desk:
    root = tmp_path_factory.mktemp("training")
    folder = tiny_dataset(root)
    dataset = load_dataset(tiny_experiment().dataset, folder.parent)
    return Desk(dataset, PixelCache(root / "cache"), root)


@pytest.fixture(scope="module")
def learning(tiny_experiment) -> Experiment:
    """All that carries state over epochs: Adam, cosine, normalization, dropout, hard images."""
    return tiny_experiment(
        training={
            "epochs": 4,
            "steps_per_epoch": 40,
            "epoch_pictures": 2,
            "hard_example_fraction": 0.5,
        },
        model={"dropout_rate": 0.05},
    )


@pytest.fixture(scope="module")
def watched(desk, learning, listen) -> tuple[Training, Any]:
    listener = listen()
    return desk.sit(learning, "learning", [listener]), listener


@pytest.fixture(scope="module")
def trained(watched) -> Training:
    return watched[0]


def assert_same(one: Training, other: Training) -> None:
    """The same network, bit by bit, and the same history."""
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history.to_dict("list") == other.history.to_dict("list")
    assert one.best_epoch == other.best_epoch


class TestLearning:
    def test_a_plain_task_is_learnt(self, trained):
        history = trained.history
        assert history.val_dice.max() > 0.9
        assert history.loss.iloc[-1] < history.loss.iloc[0] / 2

    def test_the_history_has_the_contracts_names_and_one_row_per_epoch(self, trained):
        assert set(trained.history.columns) == {"epoch"} | COLUMNS
        assert trained.history.epoch.tolist() == [1, 2, 3, 4]
        assert np.isfinite(trained.history.to_numpy()).all()

    def test_the_rate_is_the_last_one_of_each_epoch(self, trained, learning):
        rates = [cosine_rate(learning.training, 40 * epoch - 1, 0.0) for epoch in range(1, 5)]
        assert trained.history.learning_rate.tolist() == pytest.approx(rates)

    def test_observers_are_told_all(self, watched, desk):
        training, listener = watched
        assert len(listener.batches) == 4 * 40
        assert [report.epoch for report in listener.reports] == [1, 2, 3, 4]
        assert set(listener.reports[0].metrics) == COLUMNS
        for report, row in zip(listener.reports, training.history.itertuples(), strict=True):
            assert report.metrics["val_dice"] == row.val_dice
        stems = [sample.stem for sample in desk.dataset.splits["valid"]]
        assert [(item.epoch, item.stem, item.mode) for item in listener.pictures] == [
            (epoch, stem, mode)
            for epoch in (1, 2, 3, 4)
            for stem in stems
            for mode in ("tiled", "resized")
        ]

    def test_pictures_change_as_it_learns(self, watched):
        _, listener = watched
        first, last = (
            next(item.mask for item in listener.pictures if item.epoch == epoch) for epoch in (1, 4)
        )
        assert not np.array_equal(first, last)


class TestBestWeights:
    def test_the_network_that_comes_back_is_the_best_epochs(self, desk, trained, learning):
        assert scored(desk, trained.model, learning) == best_score(trained)

    def test_also_where_the_best_epoch_was_not_the_last(self, desk, stopping, stopped):
        assert stopped.best_epoch < len(stopped.history)
        assert stopped.history.val_dice.idxmax() + 1 == stopped.best_epoch
        assert scored(desk, stopped.model, stopping) == best_score(stopped)
        assert stopped.history.val_dice.iloc[-1] != best_score(stopped)


def best_score(training: Training) -> float:
    return pytest.approx(training.history.val_dice[training.best_epoch - 1], abs=1e-6)


def scored(desk: Desk, model: keras.Model, experiment: Experiment) -> float:
    """Dice of a network on the validation tiles, measured without ``fit``."""
    tiles = ValidationTiles(desk.dataset.splits["valid"], experiment, desk.cache)
    dice = Dice()
    for index in range(len(tiles)):
        images, masks = tiles[index]
        dice.update_state(masks, model(images, training=False))
    return float(dice.result())


class TestRepeating:
    def test_threads_change_nothing(self, desk, learning, trained):
        training = learning.training.model_copy(update={"workers": 1})
        threaded = learning.model_copy(update={"training": training})
        assert_same(desk.sit(threaded, "threaded"), trained)

    def test_the_first_weights_follow_from_the_experiments_seed(
        self, desk, tiny_experiment, power_cut, monkeypatch
    ):
        drawn = []

        def draw(experiment: Experiment) -> keras.Model:
            drawn.append(compile_model(experiment).get_weights()[0])
            raise power_cut

        monkeypatch.setattr(fit_module, "compile_model", draw)
        for seed in (1, 1, 2):
            with pytest.raises(power_cut):
                desk.sit(tiny_experiment(training={"seed": seed}), "seeds")
        np.testing.assert_array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])


@pytest.fixture(scope="module")
def stopping(tiny_experiment) -> Experiment:
    """Ends early: plateau, patience, AdamW and averaged weights."""
    return tiny_experiment(
        training={
            "epochs": 18,
            "steps_per_epoch": 3,
            "schedule": "plateau",
            "reducer_patience": 2,
            "patience": 5,
            "optimizer": "AdamW",
            "ema_momentum": 0.6,
            "epoch_pictures": 0,
        },
        model={"dropout_rate": 0.1},
    )


@pytest.fixture(scope="module")
def stopped(desk, stopping) -> Training:
    return desk.sit(stopping, "stopping")


def test_the_plateaus_rate_is_the_one_that_an_epoch_was_trained_with(stopped):
    """It falls when two epochs have gone by since the best one so far, or since it last fell."""
    expected, rate, best, since = [], 0.01, -1.0, 0
    for epoch, dice in zip(stopped.history.epoch, stopped.history.val_dice, strict=True):
        expected.append(rate)
        if dice > best:
            best, since = dice, epoch
        elif epoch - since == 2:
            rate, since = rate * 0.3, epoch
    assert len(set(expected)) >= 3
    assert stopped.history.learning_rate.tolist() == pytest.approx(expected)


class TestResuming:
    @pytest.mark.soak
    def test_cosine_goes_on_as_if_nothing_had_happened(
        self, desk, learning, trained, listen, power_cut
    ):
        with pytest.raises(power_cut):
            desk.sit(learning, "cosine", [listen(interrupt_in=3)])
        assert not epoch_file(desk.folder / "cosine", 3).exists()
        listener = listen()
        assert_same(desk.sit(learning, "cosine", [listener], resume=True), trained)
        assert [report.epoch for report in listener.reports] == [3, 4]

    @pytest.mark.soak
    def test_plateau_patience_and_averages_go_on(self, desk, stopping, stopped, listen, power_cut):
        assert len(stopped.history) == stopped.best_epoch + 5 < 18
        cut = stopped.best_epoch + 4  # both counters are under way
        with pytest.raises(power_cut):
            desk.sit(stopping, "plateau", [listen(interrupt_in=cut)])
        resumed = desk.sit(stopping, "plateau", resume=True)
        assert_same(resumed, stopped)

    def test_what_has_ended_is_not_trained_again(self, desk, stopping, stopped, listen):
        listener = listen()
        again = desk.sit(stopping, "stopping", [listener], resume=True)
        assert not listener.batches
        assert_same(again, stopped)

    def test_time_of_earlier_sessions_is_counted(self, desk, stopping, stopped):
        state = json.loads((desk.folder / "stopping" / STATE_FILE).read_text())
        again = desk.sit(stopping, "stopping", resume=True)
        assert again.seconds >= state["elapsed"] > 0.05

    def test_nothing_to_resume(self, desk, learning):
        with pytest.raises(TrainingError, match=r"nothing to resume: .*state\.json does not exist"):
            desk.sit(learning, "empty", resume=True)

    @pytest.mark.parametrize(
        ("state", "network"), [("{", b""), ('{"epoch": 1}', b"no archive"), ('{"epoch": 1}', None)]
    )
    def test_a_damaged_state_is_told(self, desk, learning, state, network, tmp_path):
        (tmp_path / STATE_FILE).write_text(state)
        if network is not None:
            epoch_file(tmp_path, 1).write_bytes(network)
        with pytest.raises(
            TrainingError, match=r"the saved state cannot be read.*without --resume"
        ):
            fit(learning, desk.dataset, desk.cache, tmp_path, resume=True)


class TestRefusals:
    def test_a_tile_without_room_for_its_halo_is_refused_before_training(
        self, desk, tiny_experiment, listen
    ):
        experiment = tiny_experiment(
            model={"num_layers": 5}, tiling={"max_tile": 32}, training={"epoch_pictures": 0}
        )
        listener = listen()
        with pytest.raises(TilingError, match=r"set tiling\.max_tile to \d+ or more"):
            desk.sit(experiment, "halo", [listener])
        assert not listener.batches

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_loss_that_is_no_number_ends_it_with_the_keys_to_change(
        self, desk, tiny_experiment, monkeypatch, value
    ):
        class Broken(keras.losses.Loss):
            def __init__(self, **_):
                super().__init__()

            def call(self, y_true, y_pred):
                return keras.ops.mean(y_pred) * value

        monkeypatch.setitem(LOSSES, "bce", Broken)
        experiment = tiny_experiment(training={"loss": "bce"}, model={"normalization": "none"})
        with pytest.raises(TrainingError, match=r"lower training\.learning_rate"):
            desk.sit(experiment, f"broken{value}")


@pytest.fixture(scope="module")
def mixed(desk, tiny_experiment) -> Training:
    experiment = tiny_experiment(
        training={"precision": "mixed_bfloat16", "epochs": 1, "epoch_pictures": 0}
    )
    return desk.sit(experiment, "mixed")


@pytest.mark.soak  # XLA compiles for half a minute where the processor knows no bfloat16
class TestPrecision:
    def test_trains_in_what_was_asked_for(self, mixed, desk):
        saved = keras.saving.load_model(epoch_file(desk.folder / "mixed", 1), compile=False)
        assert saved.get_layer("bridge_1_conv").compute_dtype == "bfloat16"

    def test_gives_a_network_of_float32(self, mixed, desk):
        assert {layer.dtype_policy.name for layer in mixed.model.layers} == {"float32"}
        saved = keras.saving.load_model(epoch_file(desk.folder / "mixed", 1), compile=False)
        for a, b in zip(mixed.model.get_weights(), saved.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_the_network_that_comes_back_carries_no_optimizer(self, mixed):
        assert getattr(mixed.model, "optimizer", None) is None


@pytest.mark.parametrize(
    ("settings", "kind", "clipping"),
    [
        ({"optimizer": "Adam"}, keras.optimizers.Adam, {"clipnorm": 1.0, "clipvalue": None}),
        (
            {"optimizer": "AdamW", "weight_decay": 0.02, "clipnorm": None, "clipvalue": 0.3},
            keras.optimizers.AdamW,
            {"clipnorm": None, "clipvalue": 0.3, "weight_decay": 0.02},
        ),
        (
            {"optimizer": "AdamW", "clipnorm": 0.5, "ema_momentum": 0.9},
            keras.optimizers.AdamW,
            {"clipnorm": 0.5, "weight_decay": 1e-4, "use_ema": True, "ema_momentum": 0.9},
        ),
    ],
)
def test_the_optimizer_is_what_the_settings_say(tiny_experiment, settings, kind, clipping):
    optimizer = compile_model(tiny_experiment(training=settings)).optimizer
    assert type(optimizer) is kind
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    assert {name: getattr(optimizer, name) for name in clipping} == clipping


JAX_TRAINING = """
import sys
from pathlib import Path
import keras
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.config.experiment import load_experiment
from tiledseg.training.fit import fit

experiment = load_experiment(Path("experiment.yaml"))
dataset = load_dataset(experiment.dataset, Path(sys.argv[1]))
training = fit(experiment, dataset, PixelCache(), Path())
print(keras.backend.backend(), training.history.to_json(orient="records"))
"""


@pytest.mark.soak
def test_two_steps_on_jax_follow_the_cosine(desk, tiny_experiment, tmp_path):
    """What a callback assigns is lost on JAX unless the training state is fetched first."""
    experiment = tiny_experiment(
        training={"epochs": 1, "steps_per_epoch": 2, "warmup_steps": 0, "epoch_pictures": 0},
        model={"base_filters": 2, "normalization": "none"},
    )
    (tmp_path / "experiment.yaml").write_text(experiment.to_yaml())
    answer = subprocess.run(
        [sys.executable, "-c", JAX_TRAINING, str(desk.dataset.folder.parent)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    backend, history = answer.stdout.split(maxsplit=1)
    assert backend == "jax"
    (row,) = json.loads(history)
    assert set(row) == {"epoch"} | COLUMNS
    assert row["learning_rate"] == pytest.approx(cosine_rate(experiment.training, 1, 0.0))
    assert row["learning_rate"] < 0.6 * experiment.training.learning_rate
