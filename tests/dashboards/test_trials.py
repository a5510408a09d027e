import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dashboards.trials import (
    STATES,
    has_ended,
    list_objectives,
    list_searched_keys,
    list_settings,
    make_trial_table,
    select_complete,
    state_of,
)
from tiledseg.tracking.queries import RunSummary

START = datetime(2026, 1, 1, tzinfo=UTC)


def trial(number, score=None, params=None, **changes):
    fields = {
        "run_id": f"{number:032x}",
        "name": f"study {number:03d}",
        "dataset": "Discs",
        "kind": "trial",
        "status": "FINISHED",
        "started": START + timedelta(minutes=number),
        "seconds": 60.0,
        "parent": "p",
        "error": "",
        "params": params or {},
        "metrics": {} if score is None else {"valid/tiled/dice": score},
        "tags": {"tiledseg.trial": str(number)},
        "files": "",
    }
    return RunSummary(**{**fields, **changes})


def planted(count=60):
    """The score depends strongly on one setting, weakly on another, and not on a third."""
    rng = np.random.default_rng(3)
    for number in range(count):
        rate, filters = 10 ** rng.uniform(-4, -1), int(rng.choice([4, 8, 16]))
        score = 0.8 - 0.1 * (np.log10(rate) + 2.5) ** 2 + 0.002 * filters
        yield trial(
            number,
            score + rng.normal(0, 0.01),
            {
                "training.learning_rate": f"{rate:.6g}",
                "model.base_filters": str(filters),
                "training.seed": str(rng.integers(0, 1000)),
                "model.num_layers": "3",
                "dataset.name": f"d{number}",
            },
        )


def test_only_what_was_searched_is_a_column():
    assert list_searched_keys(list(planted(5))) == [
        "model.base_filters",
        "training.learning_rate",
        "training.seed",
    ]


def test_what_the_space_gave_goes_before_the_keys_that_it_set():
    """One strength sets six amplitudes: it is one setting, and they are none."""
    runs = [
        trial(
            number,
            0.5 + number / 10,
            {"augmentation.hue": str(0.1 * number), "augmentation.scale": str(number)},
            tags={"tiledseg.trial": str(number), "tiledseg.settings": json.dumps(settings)},
        )
        for number, settings in enumerate(
            [
                {"strength": 0.5, "model.normalization": "none", "training.batch_size": 4},
                {"strength": 1.5, "model.normalization": "batch", "training.batch_size": 4},
                {"strength": 1, "model.normalization": None, "model.base_kernels": 3},
            ]
        )
    ]
    table = make_trial_table(runs, "valid/tiled/dice")
    assert list_settings(table) == ["model.normalization", "strength"]
    assert table["strength"].tolist() == [0.5, 1.5, 1.0]
    assert table["model.normalization"].tolist() == ["none", "batch", "none"]


def test_where_one_trial_does_not_tell_the_keys_are_compared():
    told = {"tiledseg.trial": "1", "tiledseg.settings": '{"strength": 1.5}'}
    runs = [trial(0, 0.5, {"a": "1"}), trial(1, 0.6, {"a": "2"}, tags=told)]
    assert list_settings(make_trial_table(runs, "valid/tiled/dice")) == ["a"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "0.5"])
def test_tags_that_somebody_has_changed_say_nothing(text):
    tags = {"tiledseg.trial": "0", "tiledseg.settings": text, "tiledseg.objective": text}
    table = make_trial_table(
        [trial(0, 0.5, {"a": "1"}, tags=tags), trial(1, 0.6, {"a": "2"})], "valid/tiled/dice"
    )
    assert table["score"].tolist() == [0.5, 0.6]
    assert list_settings(table) == ["a"]


def test_states_are_those_of_the_study():
    assert state_of(trial(0, 0.5)) == "complete"
    assert state_of(trial(0, status="RUNNING")) == "running"
    assert state_of(trial(0, tags={"tiledseg.outcome": "pruned"})) == "pruned"
    assert state_of(trial(0, tags={"tiledseg.outcome": "infeasible"})) == "infeasible"
    assert state_of(trial(0, status="KILLED")) == "failed"


@pytest.mark.parametrize("outcome", ["died", "killed", "unavailable", "interrupted"])
def test_a_trial_that_is_run_again_has_not_ended(outcome):
    assert not has_ended(trial(0, status="KILLED", tags={"tiledseg.outcome": outcome}))


@pytest.mark.parametrize("outcome", ["complete", "pruned", "infeasible", "memory", "diverged"])
def test_a_trial_that_is_not_run_again_has_ended(outcome):
    assert has_ended(trial(0, status="FAILED", tags={"tiledseg.outcome": outcome}))
    assert not has_ended(trial(0, status="RUNNING"))


def test_only_complete_trials_compete():
    others = [
        trial(1, 0.9, status="RUNNING"),
        trial(2, 0.9, status="KILLED", tags={"tiledseg.outcome": "pruned"}),
        trial(3, 0.9, status="KILLED", tags={"tiledseg.outcome": "infeasible"}),
        trial(4, 0.9, status="FAILED"),
        trial(5),
    ]
    table = make_trial_table([trial(0, 0.5), *others], "valid/tiled/dice")
    assert select_complete(table)["number"].tolist() == [0]
    assert set(table["state"]) == set(STATES)


def test_test_scores_are_no_objective():
    run = trial(0, 0.5, metrics={"test/tiled/dice": 1, "valid/tiled/dice": 1, "val_loss": 1})
    assert list_objectives([run]) == ["valid/tiled/dice", "val_loss"]


def test_trials_come_in_their_order_with_gaps_for_missing_scores():
    table = make_trial_table([trial(2, 0.5), trial(0), trial(1, 0.7)], "valid/tiled/dice")
    assert table["number"].tolist() == [0, 1, 2]
    assert np.isnan(table["score"][0])
