"""A worker: claims one trial after the other until the study has as many as it should.

    python -m tiledseg.tuning.execution.worker

Reads its options from standard input. When the sweep that started it ends, and so closes that
pipe, it ends its trial and itself.
"""

import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from tiledseg.errors import SweepError, TiledsegError, TrackingError
from tiledseg.tracking import sweeps
from tiledseg.tuning.execution import retries
from tiledseg.tuning.execution.channel import Channel
from tiledseg.tuning.execution.outcome import TrialFailedError, report_to_optuna
from tiledseg.tuning.execution.resources import identify_process
from tiledseg.tuning.execution.trial_runner import TrialRunner
from tiledseg.tuning.execution.worker_options import WorkerOptions
from tiledseg.tuning.search.samplers import make_pruner, make_sampler, make_trial_seed
from tiledseg.tuning.study.grid import list_untried_points
from tiledseg.tuning.study.storage import StudyLock, check_url, open_storage, storage_errors
from tiledseg.tuning.study.study import load_definition

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
MOST_UNAVAILABLE = 3
"""Trials in a row that failed for want of data, disk or tracking before a worker gives up."""


class Worker:
    """Runs trials of a study.

    Args:
        options: Of this worker.
        stop: Set when the worker should end its trial and itself.
    """

    def __init__(self, options: WorkerOptions, stop: threading.Event) -> None:
        self._options, self._stop = options, stop
        self._url = check_url(options.sweep.storage)
        self._storage = open_storage(self._url)
        self._lock = StudyLock(self._url, options.sweep.study)
        self._study = optuna.load_study(study_name=options.sweep.study, storage=self._storage)
        self._definition = load_definition(self._study)
        self._study.pruner = make_pruner(options.sweep.pruner, self._definition.likely_epochs)
        self._unavailable: list[str] = []

    def work(self) -> None:
        """Run trials until there is nothing left to do.

        Raises:
            SweepError: The storage fails, or data or tracking are away for several trials.
        """
        while not self._stop.is_set():
            with storage_errors(self._url):
                step = self._next_step()
            if step == "stop":
                return
            if step == "wait":
                self._stop.wait(POLL_SECONDS)
            if len(self._unavailable) >= MOST_UNAVAILABLE:
                raise SweepError(
                    f"{len(self._unavailable)} trials in a row could not run: "
                    f"{self._unavailable[-1]}"
                )

    def _next_step(self) -> Literal["trial", "wait", "stop"]:
        """Look at the study under its lock, and run a trial if one is due."""
        with self._lock:
            self._recover_trials()
            trials, session = self._study.get_trials(deepcopy=False), self._options.session
            wanted = math.inf if session.wanted is None else session.wanted
            late = session.deadline is not None and time.time() >= session.deadline
            if late or len(retries.list_finished(trials)) >= wanted:
                return "stop"
            if len(retries.list_started(trials)) >= wanted:
                return "wait"  # for trials of others: one of them may die and be queued again
            if self._options.sweep.sampler == "grid" and not self._enqueue_grid_point(trials):
                return "stop"
            self._optimize()  # lets go of the lock as soon as the trial is claimed
            return "trial"

    def _recover_trials(self) -> None:
        dead = retries.recover_trials(self._study, self._storage)
        if dead:
            running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            living = {trial.number for trial in running}
            try:
                sweeps.end_dead_runs(self._options.parent_run, living, "its worker died")
            except TrackingError as error:  # the sweep does it again at its end
                logger.warning("%s", error)

    def _enqueue_grid_point(self, trials: Sequence[FrozenTrial]) -> bool:
        """Queue the next point of the grid unless a trial waits; False if all were tried."""
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        untried = list_untried_points(self._definition, self._options.sweep.seed, trials)
        if untried:
            self._study.enqueue_trial(untried[0])
        return bool(untried)

    def _optimize(self) -> None:
        try:
            self._study.optimize(self._objective, n_trials=1, catch=(TrialFailedError,))
        except ValueError as error:
            if "Cannot tell" not in str(error):
                raise
            # Without a heartbeat for so long, it was failed and queued again by another worker.
            logger.warning("a trial was given up: %s", error)

    def _objective(self, trial: optuna.Trial) -> list[float]:
        self._storage.record_heartbeat(trial._trial_id)
        trial.set_user_attr(retries.WORKER, identify_process())
        self._lock.release()
        options, wanted = self._options.sweep, self._options.session.wanted
        seed = make_trial_seed(options.seed, trial.number)
        self._study.sampler = make_sampler(options.sampler, seed, self._definition.space, wanted)
        outcome = TrialRunner(trial, self._definition, self._options, self._stop).run()
        if outcome.kind == "unavailable":
            self._unavailable.append(outcome.reason)
        else:
            self._unavailable.clear()
        return report_to_optuna(outcome, self._definition)


def main() -> None:
    """Work as the options on standard input say; on an error, exit with 1 and one line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    message = Channel.to_parent(on_end=stop.set).receive()
    if message is None:
        sys.exit(1)
    try:
        Worker(WorkerOptions.from_message(message), stop).work()
    except TiledsegError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
