import optuna
import pytest
from optuna.trial import TrialState

from tiledseg.tuning.execution import retries
from tiledseg.tuning.execution.resources import identify_process, is_gone
from tiledseg.tuning.study.storage import check_url, open_storage

DEAD = {**identify_process(), "pid": 2**22 - 1, "began": 0.0}
ELSEWHERE = {**identify_process(), "machine": "another one"}


@pytest.fixture
def storage(tmp_path):
    return open_storage(check_url(f"sqlite:///{tmp_path}/sweeps.db"), heartbeat=1, grace=1)


@pytest.fixture
def study(storage):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(storage=storage, study_name="s", direction="maximize")


@pytest.fixture
def claim(study):
    """Begin a trial as a worker would."""

    def begin(worker=None, **attributes):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        for key, value in {retries.WORKER: worker, **attributes}.items():
            if value is not None:
                trial.set_user_attr(key, value)
        return trial

    return begin


def states(study):
    return [(trial.number, trial.state.name) for trial in study.get_trials()]


def test_processes_are_told_apart():
    assert is_gone(identify_process()) is False
    assert is_gone(DEAD) is True
    assert is_gone({**identify_process(), "began": identify_process()["began"] - 100}) is True
    assert is_gone(ELSEWHERE) is None


def test_a_trial_whose_worker_is_gone_is_run_once_more(study, storage, claim):
    dead = claim(DEAD, origin="source", run_id="r")
    assert [trial.number for trial in retries.recover_trials(study, storage)] == [0]
    assert states(study) == [(0, "FAIL"), (1, "WAITING")]
    assert retries.recover_trials(study, storage) == []
    assert states(study) == [(0, "FAIL"), (1, "WAITING")]  # asked twice, queued once

    trials = study.get_trials()
    assert [trial.number for trial in retries.list_counted(trials)] == [1]
    assert retries.list_finished(trials) == retries.list_started(trials) == []
    assert trials[1].user_attrs == {"origin": "source", "deaths": 1}
    assert retries.reason_of(trials[0]) == "its worker died"

    again = claim(DEAD)
    assert again.number == 1
    assert again.params == dead.params
    retries.recover_trials(study, storage)
    assert states(study) == [(0, "FAIL"), (1, "FAIL")]  # twice is enough
    assert [trial.number for trial in retries.list_finished(study.get_trials())] == [1]


def test_a_claim_that_was_cut_short_is_found(study, storage, claim):
    claim(worker=None)
    retries.recover_trials(study, storage)
    assert states(study) == [(0, "FAIL"), (1, "WAITING")]


def test_the_living_are_left_alone(study, storage, claim):
    claim(identify_process())
    far = claim(ELSEWHERE)
    storage.record_heartbeat(far._trial_id)
    assert retries.recover_trials(study, storage) == []
    assert states(study) == [(0, "RUNNING"), (1, "RUNNING")]


def test_silence_elsewhere_is_death(study, storage, claim):
    import time

    far = claim(ELSEWHERE)
    storage.record_heartbeat(far._trial_id)
    time.sleep(2.2)
    assert [trial.number for trial in retries.recover_trials(study, storage)] == [0]
    assert states(study) == [(0, "FAIL"), (1, "WAITING")]


@pytest.mark.parametrize(
    ("outcome", "again"),
    [("killed", True), ("unavailable", True), ("interrupted", True), ("memory", False),
     ("time", False), ("diverged", False), ("error", False)],
)  # fmt: skip
def test_which_failures_are_run_again(study, storage, claim, outcome, again):
    trial = claim(identify_process(), outcome=outcome)
    trial.report(0.5, 1)
    trial.set_constraint("settings", 0.0)
    study.tell(trial, state=TrialState.FAIL)
    retries.recover_trials(study, storage)
    assert len(study.get_trials()) == 1 + again
    if again:
        queued = study.get_trials()[1]
        assert queued.state == TrialState.WAITING
        assert queued.params == trial.params
        assert not queued.intermediate_values
        assert not queued.constraints
        assert queued.user_attrs["deaths"] == (0 if outcome == "interrupted" else 1)


def test_interrupted_trials_may_come_back_more_than_once(study, storage, claim):
    for _ in range(3):
        study.tell(claim(identify_process(), outcome="interrupted"), state=TrialState.FAIL)
        retries.recover_trials(study, storage)
    study.tell(claim(identify_process(), outcome="complete"), 1.0)
    trials = study.get_trials()
    assert len(trials) == 4
    assert [trial.number for trial in retries.list_counted(trials)] == [3]
    assert [trial.state.name for trial in retries.list_finished(trials)] == ["COMPLETE"]
