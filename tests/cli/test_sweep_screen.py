from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tiledseg.cli import console, sweep_screen
from tiledseg.cli.sweep_screen import SweepScreen, show_study
from tiledseg.tuning.results.progress import StudyProgress, TrialRow
from tiledseg.tuning.results.report import StudyResult


def row(number, state="complete", value=0.5, **fields):
    usual = {
        "values": () if value is None else (value,),
        "epochs": 3, "seconds": 65.0, "params": {"training.learning_rate": 0.00123 * (number + 1)},
        "origin": "experiment" if number == 0 else "", "reason": "", "run_id": "r", "metrics": {},
        "is_feasible": True, "is_best": False,
    }  # fmt: skip
    return TrialRow(number=number, state=state, **{**usual, **fields})


PROGRESS = StudyProgress(
    rows=(
        row(0, value=0.8),
        row(1, "pruned", 0.2, reason="pruned after epoch 3"),
        row(2, value=0.9, is_best=True),
        row(3, "running", None, seconds=5.0),
    ),
    wanted=8,
    elapsed=3700.0,
    remaining=125.0,
)


@pytest.fixture
def screen(monkeypatch):
    """What is written, on a terminal or not."""

    def record(is_terminal):
        recorder = Console(
            record=True, width=120, height=40, force_terminal=is_terminal, highlight=False
        )
        for module in (console, sweep_screen):
            monkeypatch.setattr(module, "console", recorder)
        return recorder

    return record


@pytest.mark.parametrize("is_terminal", [True, False])
def test_trials_best_so_far_and_time_left(screen, is_terminal):
    recorder = screen(is_terminal)
    with SweepScreen() as shown:
        shown.on_study("Tiny-default", "sqlite:///sweeps.db", "0123")
        shown.on_progress(replace(PROGRESS, rows=()))
        shown.on_progress(PROGRESS)
        shown.on_progress(PROGRESS)
    text = recorder.export_text()
    for word in ("Tiny-default", "sqlite:///sweeps.db", "0123", "0.9000", "0.00369", "1:05"):
        assert word in text, text
    if not is_terminal:
        assert "3/8 trials, best 0.9000 (trial 2), 1:01:40 gone, about 2:05 left" in text
        assert text.count("trial   1 pruned") == 1
        assert "pruned after epoch 3" in text


def test_trials_of_earlier_sessions_are_not_told_again(screen):
    recorder = screen(False)
    with SweepScreen() as shown:
        shown.on_progress(replace(PROGRESS, rows=PROGRESS.rows[:2]))
        shown.on_progress(PROGRESS)
    lines = recorder.export_text().splitlines()
    assert lines[0].startswith("earlier     2/8 trials")
    assert [line.split()[:2] for line in lines[1:]] == [["trial", "2"]]


def test_who_stops_a_sweep_is_told_how_to_go_on(screen):
    recorder = screen(False)
    with pytest.raises(KeyboardInterrupt), SweepScreen():
        raise KeyboardInterrupt
    assert "the same command goes on" in recorder.export_text()


def result(best, file=None):
    names = ("valid/tiled/dice",)
    return StudyResult("Tiny-default", "0123", PROGRESS, names, best, None, file)


def test_what_was_found(screen):
    recorder = screen(False)
    show_study(result(PROGRESS.rows[2], Path("experiments/Tiny-best.yaml")))
    text = recorder.export_text()
    assert "2 complete, 1 pruned, 1 running" in text
    assert "best        trial 2: valid/tiled/dice 0.9000" in text
    assert "trial 0     valid/tiled/dice 0.8000" in text
    assert "tiledseg train --experiment experiments/Tiny-best.yaml" in text


def test_what_was_found_and_could_not_be_written(screen):
    recorder = screen(False)
    found = replace(result(PROGRESS.rows[2]), write_error="experiments: cannot be written")
    show_study(found)
    text = recorder.export_text()
    assert "experiment  experiments: cannot be written" in text
    assert "None" not in text


def test_nothing_found(screen):
    recorder = screen(False)
    show_study(result(None))
    assert "none" in recorder.export_text()
