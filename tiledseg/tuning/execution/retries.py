"""Trials that died: which are run again, and which count.

Optuna runs a trial again by adding another one that names the first in its history. A trial
that has a successor does not count; so a study of N trials ends with exactly N that count, each
with an end of its own, however often processes were killed. Everything here is derived from the
storage, so it does not matter when that happened.
"""

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from tiledseg.tracking.names import DIED, INTERRUPTED, RETRIED
from tiledseg.tuning.execution.resources import is_gone
from tiledseg.tuning.study.storage import ignore_experimental_warnings

WORKER = "worker"
"""Attribute of a trial: the process that runs it."""
ORIGIN = "origin"
"""Attribute of a trial: ``experiment`` or ``source`` where the sampler did not choose it."""
EXPERIMENT, SOURCE = "experiment", "source"
DEATHS = "deaths"
"""Attribute of a trial: how often it died before."""
OUTCOME = "outcome"
REASON = "reason"
RUN_ID = "run_id"
EPOCHS = "epochs"

_KEPT = (ORIGIN, DEATHS)
_HISTORY = "retry_history"
"""Where Optuna's retry callback notes which trials another one replaces."""


def outcome_of(trial: FrozenTrial) -> str:
    """How a trial ended, in one word; its state in small letters where nothing was recorded."""
    if trial.state == TrialState.FAIL and OUTCOME not in trial.user_attrs:
        return DIED
    return str(trial.user_attrs.get(OUTCOME, trial.state.name.lower()))


def reason_of(trial: FrozenTrial) -> str:
    """Why a trial ended early; empty when it did not."""
    if outcome_of(trial) == DIED:
        return "its worker died"
    return str(trial.user_attrs.get(REASON, ""))


def find_superseded(trials: Sequence[FrozenTrial]) -> frozenset[int]:
    """Numbers of trials that were queued again under another number."""
    return frozenset(number for trial in trials for number in trial.system_attrs.get(_HISTORY, ()))


def list_counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials without a successor."""
    replaced = find_superseded(trials)
    return [trial for trial in trials if trial.number not in replaced]


def list_started(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that count and are running or have ended."""
    return [trial for trial in list_counted(trials) if trial.state != TrialState.WAITING]


def list_finished(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that count and have ended."""
    return [trial for trial in list_counted(trials) if trial.state.is_finished()]


def is_due_again(trial: FrozenTrial) -> bool:
    """Whether a trial failed and is to be run again."""
    if trial.state != TrialState.FAIL:
        return False
    outcome = outcome_of(trial)
    return outcome == INTERRUPTED or (outcome in RETRIED and trial.user_attrs.get(DEATHS, 0) == 0)


def recover_trials(study: optuna.Study, storage: Any) -> list[FrozenTrial]:
    """Fail trials that nobody runs any more, and queue those that are to be run again.

    To be called under the study's lock. A trial without a worker is then dead: a worker signs
    its trial before it lets go of the lock. One signed on this machine is dead when the process
    is gone; one signed elsewhere when its heartbeat has stopped.

    Args:
        study: The study.
        storage: Its storage.

    Returns:
        The trials that were under way and have failed now.
    """
    failed = fail_dead_trials(study, storage)
    for trial in list_counted(study.get_trials(deepcopy=False)):
        if is_due_again(trial):
            _queue_again(study, trial)
    return failed


def fail_dead_trials(study: optuna.Study, storage: Any) -> list[FrozenTrial]:
    """Fail trials that nobody runs any more; unlike ``recover_trials``, queue none again."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        identity = trial.user_attrs.get(WORKER)
        if identity is None or is_gone(identity):
            with suppress(UpdateFinishedTrialError):  # it ended after we looked
                storage.set_trial_user_attr(trial._trial_id, OUTCOME, DIED)
                storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    with ignore_experimental_warnings():
        fail_stale_trials(study)
    numbers = {trial.number for trial in running}
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return [trial for trial in failed if trial.number in numbers]


def _queue_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Add a waiting trial with the same settings."""
    deaths = trial.user_attrs.get(DEATHS, 0) + (outcome_of(trial) in RETRIED)
    again = copy.deepcopy(trial)
    again.user_attrs = {key: trial.user_attrs[key] for key in _KEPT if key in trial.user_attrs}
    again.set_user_attr(DEATHS, deaths)
    again.system_attrs = {  # not what pruners and constraints noted about the first attempt
        key: value
        for key, value in trial.system_attrs.items()
        if not key.startswith(("completed_rung", "constraints"))
    }
    with ignore_experimental_warnings():
        RetryHeartbeatStaleTrialCallback()(study, again)
