"""A session that ends anywhere is gone on with as if nothing had happened."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from watched_disk import watch_disk

from tiledseg.config import TrackingSettings, TrainingSettings
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.errors import OutputError, StoppedError, TrainingError
from tiledseg.training import session
from tiledseg.training.callbacks import BestEpoch, PlateauRate, Reports
from tiledseg.training.fit import fit
from tiledseg.training.schedule import Clock
from tiledseg.training.session import STATE_FILE, SavedSession, epoch_file, read_session
from tiledseg.training.stopping import StopRequest


class Script(keras.callbacks.Callback):
    """Puts values into the logs as if validation had measured them."""

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__()
        self._values = values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["val_dice"] = self._values[epoch]


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings.model_validate(
        {"epochs": 8, "steps_per_epoch": 1, "learning_rate": 0.1, **changes}
    )


class TestSaving:
    @pytest.fixture
    def saving(self, tmp_path, told):
        """Callbacks that choose and save, over a scripted validation."""

        def make(values: Sequence[float], **changes: Any) -> list[keras.callbacks.Callback]:
            chosen = settings(**changes)
            best = BestEpoch(chosen)
            plateau = PlateauRate(chosen, best)
            reports = Reports(chosen, Clock(chosen), best, [])
            parts = {"best": best, "plateau": plateau, "reports": reports}
            saved = SavedSession(
                tmp_path,
                chosen,
                TrackingSettings(checkpoints=1),
                clock=Clock(chosen),
                best=best,
                reports=reports,
                parts=parts,
                on_saved=told.append,
            )
            return [Script(values), best, reports, plateau, saved]

        return make

    @pytest.fixture
    def told(self):
        return []

    @staticmethod
    def state(folder: Path) -> dict[str, Any]:
        return json.loads((folder / STATE_FILE).read_text())

    def test_files_of_the_last_and_the_best_epoch_are_kept(self, train, saving, tmp_path):
        recorder = train(settings(epochs=5), *saving([0.1, 0.9, 0.2, 0.3, 0.4]))
        assert {path.name for path in tmp_path.iterdir()} == {
            "epoch2.keras",
            "epoch5.keras",
            STATE_FILE,
        }
        for epoch in (2, 5):
            network = keras.saving.load_model(epoch_file(tmp_path, epoch))
            assert network.get_weights()[0].item() == np.float32(recorder.weights[epoch - 1])
        assert recorder.weights[1] != recorder.weights[4]

    def test_all_that_changes_is_kept(self, train, saving, tmp_path):
        made = saving([0.9, 0.1, 0.2, 0.3], reducer_patience=2, patience=3)
        train(settings(epochs=9), *made)
        state = self.state(tmp_path)
        assert state["epoch"] == 4
        assert state["stopped"] is True
        parts = state["parts"]
        assert parts["best"] == {"value": 0.9, "epoch": 1}
        assert parts["plateau"] == {"lowered_at": 3}
        assert state["elapsed"] > 0
        assert [row["epoch"] for row in parts["reports"]["history"]] == [1, 2, 3, 4]

    def test_comes_back(self, train, saving, tmp_path):
        train(settings(epochs=3), *saving([0.9, 0.1, 0.2], reducer_patience=1))
        state = self.state(tmp_path)
        _, *restored, _ = saving([])
        for name, part in zip(("best", "reports", "plateau"), restored, strict=True):
            part.restore(state["parts"][name])
            assert part.state() == state["parts"][name]

    def test_a_kill_before_the_state_is_written_leaves_the_epoch_before(
        self, train, saving, tmp_path, monkeypatch
    ):
        made = saving([0.9, 0.1, 0.2])

        def killed(moves):
            ((_, path),) = moves
            if path.name == STATE_FILE and path.exists() and self.state(tmp_path)["epoch"] == 2:
                raise KeyboardInterrupt
            original(moves)

        original = session.give_names
        monkeypatch.setattr(session, "give_names", killed)
        with pytest.raises(KeyboardInterrupt):
            train(settings(), *made)
        self.check_state_of_epoch_2(tmp_path)

    def check_state_of_epoch_2(self, folder: Path) -> None:
        state = self.state(folder)
        assert state["epoch"] == 2
        for epoch in (state["epoch"], state["parts"]["best"]["epoch"]):
            assert keras.saving.load_model(epoch_file(folder, epoch)).count_params() == 1

    def test_networks_are_on_the_disk_before_the_state_names_them(
        self, train, saving, tmp_path, monkeypatch
    ):
        disk = watch_disk(monkeypatch)
        train(settings(epochs=2), *saving([0.1, 0.9]))
        assert [path.name for path, _ in disk.named] == [
            "epoch1.keras", STATE_FILE, "epoch2.keras", STATE_FILE
        ]  # fmt: skip
        assert disk.unflushed(tmp_path) == []

    def test_what_could_not_be_logged_is_trained_again(self, train, saving, tmp_path, monkeypatch):
        """Else a resumed run would lack the network of an epoch that may be its best."""

        def log(saved: Any) -> None:
            if saved.epoch == 3:
                raise OutputError("no room to log it")
            assert json.loads(saved.state.read_text())["epoch"] == saved.epoch
            assert saved.network.is_file()

        made = saving([0.9, 0.1, 0.95])
        monkeypatch.setattr(made[-1], "_on_saved", log)
        with pytest.raises(OutputError, match="no room"):
            train(settings(), *made)
        self.check_state_of_epoch_2(tmp_path)

    def test_a_folder_that_cannot_be_written_is_told_with_a_remedy(self, train, saving, tmp_path):
        epoch_file(tmp_path, 1).mkdir()
        with pytest.raises(OutputError, match=r"epoch1\.keras: a checkpoint.*TILEDSEG_STATE"):
            train(settings(), *saving([0.1] * 8))

    def test_as_many_of_the_best_networks_are_kept_as_asked_for(
        self, train, saving, tmp_path, told
    ):
        made = saving([0.1, 0.9, 0.2, 0.8, 0.4])
        made[-1]._tracking = TrackingSettings(checkpoints=3)
        train(settings(epochs=5), *made)
        assert [save.best for save in told] == [[1], [2, 1], [2, 3, 1], [2, 4, 3], [2, 4, 5]]
        names = {path.name for path in tmp_path.glob("*.keras")}
        assert names == {"epoch2.keras", "epoch4.keras", "epoch5.keras"}


LEARNING = {
    "adam": {"training": {"hard_example_fraction": 0.5}, "model": {"dropout_rate": 0.1}},
    "averages": {
        "training": {
            "schedule": "plateau",
            "optimizer": "AdamW",
            "ema_momentum": 0.6,
            "workers": 0,
        },
        "model": {"dropout_rate": 0.1},
    },
}
STEPS = 5


class Stopper:
    """Asks for a stop after some batches, or fails as if the plug was pulled."""

    def __init__(self, at: tuple[int, int], *, kill: bool) -> None:
        self.at, self.kill, self.stop = at, kill, StopRequest()
        self.trained: list[tuple[int, int]] = []

    def on_batch_end(self, epoch: int, batch: int, batches: int, metrics: Any) -> None:
        if "loss" in metrics:
            self.trained.append((epoch, batch))
        if (epoch, batch) == self.at:
            if self.kill:
                raise ZeroDivisionError
            self.stop.set()

    def on_epoch_end(self, report: Any) -> None: ...
    def on_saved(self, saved: Any) -> None: ...
    def on_epoch_masks(self, picture: Any) -> None: ...


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_dataset, tiny_experiment):
    """A dataset, and a function that trains on it in a folder."""
    root = tmp_path_factory.mktemp("sessions")
    folder = tiny_dataset(root)
    dataset = load_dataset(tiny_experiment().dataset, folder.parent)
    cache = PixelCache(root / "cache")

    def run(kind: str, name: str, observers: Sequence[Any] = (), **options: Any):
        changes = LEARNING[kind]
        experiment = tiny_experiment(
            training={
                "epochs": 3,
                "steps_per_epoch": STEPS,
                "epoch_pictures": 0,
                **changes["training"],
            },
            model=changes["model"],
            tracking={"checkpoint_minutes": options.pop("minutes", 5.0)},
        )
        where = root / f"{kind}-{name}"
        where.mkdir(exist_ok=True)
        return fit(experiment, dataset, cache, where, observers, **options)

    return run


@pytest.fixture(scope="module")
def unbroken(place):
    return {kind: place(kind, "unbroken") for kind in LEARNING}


def assert_same(one, other):
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history.to_dict("list") == other.history.to_dict("list")
    assert one.best_epoch == other.best_epoch


class TestGoingOn:
    @pytest.mark.parametrize("kind", LEARNING)
    @pytest.mark.parametrize(
        "at",
        [
            (1, 2),
            pytest.param((2, 3), marks=pytest.mark.soak),
            pytest.param((2, STEPS), marks=pytest.mark.soak),
            pytest.param((3, STEPS), marks=pytest.mark.soak),
        ],
    )
    def test_after_a_stop_within_an_epoch(self, place, unbroken, kind, at):
        name = f"stop{at}"
        asked = Stopper(at, kill=False)
        with pytest.raises(StoppedError):
            place(kind, name, [asked], stop=asked.stop)
        again = Stopper((9, 9), kill=False)
        assert_same(place(kind, name, [again], resume=True), unbroken[kind])
        every = [(epoch, batch) for epoch in (1, 2, 3) for batch in range(1, STEPS + 1)]
        assert asked.trained + again.trained == every, "a step was lost, or trained twice"

    @pytest.mark.parametrize("kind", LEARNING)
    def test_after_a_kill_within_an_epoch_that_was_saved_in_its_middle(self, place, unbroken, kind):
        killed = Stopper((2, 4), kill=True)
        with pytest.raises(ZeroDivisionError):
            place(kind, "kill", [killed], minutes=1e-9)  # saved after every step
        again = Stopper((9, 9), kill=False)
        assert_same(place(kind, "kill", [again], resume=True), unbroken[kind])
        assert again.trained[0] == (2, 4)

    @pytest.mark.soak
    def test_twice_in_one_epoch_and_while_steps_are_skipped(self, place, unbroken):
        for at in ((2, 3), (2, 1), (2, 4)):
            asked = Stopper(at, kill=False)
            with pytest.raises(StoppedError):
                place("adam", "twice", [asked], stop=asked.stop, resume=at != (2, 3))
        assert_same(place("adam", "twice", resume=True), unbroken["adam"])


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "{}", "[" * 100_000, "9" * 9999,
        '{"epoch": -1, "elapsed": 1, "stopped": false, "parts": {}}',
        '{"epoch": 1, "elapsed": NaN, "stopped": false, "parts": []}',
    ],
)  # fmt: skip
def test_a_damaged_state_is_told_in_one_line(tmp_path, text):
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(
        TrainingError, match=r"state.json: the saved state cannot be read .*; start"
    ) as told:
        read_session(tmp_path)
    assert "\n" not in str(told.value)
