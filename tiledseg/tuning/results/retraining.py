"""Trains the best candidates in full: what learns fastest need not learn best."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from tiledseg.errors import SweepError
from tiledseg.tracking.names import RETRAINING_FILE
from tiledseg.tracking.store import connect
from tiledseg.tracking.sweeps import StudyRun
from tiledseg.tuning.execution.outcome import TrialFailedError
from tiledseg.tuning.execution.resources import identify_process
from tiledseg.tuning.execution.retries import REASON, RUN_ID, WORKER, fail_dead_trials
from tiledseg.tuning.results.candidates import Candidate
from tiledseg.tuning.study.storage import StudyLock, check_url, open_storage, storage_errors

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
_NUMBER, _VALUE = "candidate", "value"
"""Attributes of a retrained trial: the candidate's number in its study, and its value there."""


@dataclass(frozen=True)
class RetrainedTrial:
    """A candidate that was trained in full."""

    number: int
    value: float
    score: float
    """``valid/tiled/dice``."""
    run_id: str


class Retraining:
    """Trainings in full of a study's best candidates, shared by machines.

    They are the trials of an Optuna study of their own. So a candidate is claimed, kept alive by
    heartbeats, and claimed again when a machine dies, as any trial is.

    Args:
        study: Name of the study whose candidates these are.
        storage: Where it lives.
        run_id: The study's MLflow run, which gets the table.

    Raises:
        SweepError: The storage cannot be used.
    """

    def __init__(self, study: str, storage: str, run_id: str) -> None:
        self._url, self._run_id = check_url(storage), run_id
        self._storage = open_storage(self._url)
        name = f"{study}-retraining-{run_id[:8]}"  # a study that is made anew retrains anew
        self._lock = StudyLock(self._url, name)
        self._error: Exception | None = None
        with storage_errors(self._url), self._lock:
            self._study = optuna.create_study(
                study_name=name, storage=self._storage, direction="maximize", load_if_exists=True
            )
            self._known_failures = {trial.number for trial in self._trials(TrialState.FAIL)}

    def run(
        self,
        candidates: Sequence[Candidate],
        train: Callable[[Candidate], tuple[str, float]],
        on_wait: Callable[[list[int]], None] = lambda _: None,
    ) -> list[RetrainedTrial]:
        """Train candidates in full, one after the other, but none twice.

        Those that another machine trains are waited for, and taken over should it die.

        Args:
            candidates: Who takes part.
            train: Trains one; returns its run and its ``valid/tiled/dice``.
            on_wait: Told which candidates others train, when there is nothing else to do.

        Returns:
            The retrained trials, the best first.

        Raises:
            TrackingError: The store does not answer.
            SweepError: The storage fails, or a training did on another machine.
        """
        waited_for: list[int] = []
        while (step := self._next_step(candidates, train)) != "done":
            if self._error is not None:
                raise self._error
            if step == "trained":
                self._log_table()
                continue
            others = sorted(self._list_running())
            if others != waited_for:
                waited_for = others
                on_wait(others)
            time.sleep(POLL_SECONDS)
        done = self._list_done()
        taking_part = [done[candidate.number] for candidate in candidates]
        return sorted(taking_part, key=lambda one: (-one.score, one.number))

    def _next_step(
        self, candidates: Sequence[Candidate], train: Callable[[Candidate], tuple[str, float]]
    ) -> Literal["trained", "wait", "done"]:
        """Look at the retraining under its lock, and train the next that nobody has claimed."""
        with storage_errors(self._url), self._lock:
            fail_dead_trials(self._study, self._storage)
            self._raise_failures()
            done, claimed = self._list_done(), self._list_running()
            left = [one for one in candidates if one.number not in done]
            free = [one for one in left if one.number not in claimed]
            if not free:
                return "wait" if left else "done"
            self._train(free[0], train)  # lets go of the lock as soon as it is claimed
            return "trained"

    def _train(self, candidate: Candidate, train: Callable[[Candidate], tuple[str, float]]) -> None:
        def objective(trial: optuna.Trial) -> float:
            self._storage.record_heartbeat(trial._trial_id)
            trial.set_user_attr(_NUMBER, candidate.number)
            trial.set_user_attr(_VALUE, candidate.value)
            trial.set_user_attr(WORKER, identify_process())
            self._lock.release()
            try:
                trained, score = train(candidate)
            except Exception as error:
                self._error = error
                trial.set_user_attr(REASON, str(error)[:2000])
                raise TrialFailedError from error
            trial.set_user_attr(RUN_ID, trained)
            return score

        try:
            self._study.optimize(objective, n_trials=1, catch=(TrialFailedError,))
        except ValueError as error:
            if "Cannot tell" not in str(error):
                raise
            # Without a heartbeat for so long, another machine took it over.
            logger.warning("a retraining was given up: %s", error)

    def _raise_failures(self) -> None:
        """Raise what failed on another machine: here it would fail too, hours later."""
        for trial in self._trials(TrialState.FAIL):
            known = trial.user_attrs
            if REASON in known and trial.number not in self._known_failures:
                raise SweepError(
                    f"candidate {known[_NUMBER]} could not be trained on another machine: "
                    f"{known[REASON]}; mend that, and give the command again"
                )

    def _log_table(self) -> None:
        table = pd.DataFrame([vars(final) for final in self._list_done().values()])
        StudyRun(connect(), self._run_id).log_texts({RETRAINING_FILE: table.to_csv(index=False)})

    def _trials(self, state: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(state,))

    def _list_running(self) -> set[int]:
        running = self._trials(TrialState.RUNNING)
        return {trial.user_attrs[_NUMBER] for trial in running if _NUMBER in trial.user_attrs}

    def _list_done(self) -> dict[int, RetrainedTrial]:
        retrained = {}
        for trial in self._trials(TrialState.COMPLETE):
            known = trial.user_attrs
            score = float(trial.values[0])
            retrained[known[_NUMBER]] = RetrainedTrial(
                known[_NUMBER], known[_VALUE], score, known[RUN_ID]
            )
        return retrained
