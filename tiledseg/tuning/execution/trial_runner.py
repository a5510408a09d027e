"""A claimed trial: from its settings to its end in Optuna's and MLflow's books."""

import json
import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from tiledseg.config.experiment import Experiment
from tiledseg.errors import ExperimentError, TrackingError
from tiledseg.tracking import sweeps
from tiledseg.tracking.names import PRUNED_ON
from tiledseg.tuning.execution import retries
from tiledseg.tuning.execution.child_process import (
    COMMAND,
    EpochEnd,
    Outcome,
    TrialLimits,
    TrialProcess,
)
from tiledseg.tuning.execution.outcome import is_feasible, judge, objective_values, violations
from tiledseg.tuning.execution.resources import share_processors
from tiledseg.tuning.study.definition import StudyDefinition

logger = logging.getLogger(__name__)

STATUS: Mapping[str, str] = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "infeasible": "KILLED",
    "killed": "KILLED",
    retries.INTERRUPTED: "KILLED",
}
"""Status of a trial's MLflow run by its outcome; FAILED for all others."""


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works; what it searches lies in the study."""

    storage: str
    study: str
    parent_run: str
    """The study's MLflow run."""
    trials: int | None
    """Trials that the study should have; None: as many as fit into the time."""
    deadline: float | None
    """Seconds since 1970 after which no trial is begun."""
    sampler: str
    pruner: str
    seed: int
    trial_seconds: float
    """Wall time of a trial at most."""
    trial_memory_gb: float
    """Memory of a trial at most."""
    worker: int = 0
    """Number of this worker on its machine."""
    workers: int = 1
    """Workers on this machine."""
    root: str | None = None
    """Folder of datasets; by default the one that ``TILEDSEG_DATA`` names."""
    command: tuple[str, ...] = COMMAND
    """The program that runs a trial."""


class TrialRunner:
    """One trial of a worker.

    Args:
        trial: A claimed trial.
        definition: The study's.
        options: The worker's.
        stop: Set when the worker should end its trial.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        definition: StudyDefinition,
        options: WorkerOptions,
        stop: threading.Event,
    ) -> None:
        self._trial, self._definition = trial, definition
        self._options, self._stop = options, stop
        self._run_id = ""
        self._began = time.monotonic()

    def run(self) -> Outcome:
        """Run it and file its outcome.

        Raises:
            UpdateFinishedTrialError: Another worker took it for dead.
        """
        try:
            outcome = self._outcome()
            self._file(outcome)
        except UpdateFinishedTrialError:
            self._close_run(Outcome("killed", "taken for dead: no heartbeat"))
            raise
        return outcome

    def _outcome(self) -> Outcome:
        try:
            experiment = self._experiment()
        except ExperimentError as error:
            outcome = Outcome("infeasible", str(error))
        else:
            outcome = Outcome("complete")
        try:
            self._open_run()
            return self._trained(experiment) if outcome.kind == "complete" else outcome
        except TrackingError as error:
            return Outcome("unavailable", str(error))

    def _experiment(self) -> Experiment:
        """The trial's experiment; the study's own when that is what it is for."""
        definition, own = self._definition, self._definition.own
        if self._trial.user_attrs.get(retries.ORIGIN) == retries.EXPERIMENT:
            for name in definition.space.own_values(own):
                definition.space.parameters[name].suggest(self._trial, name)
            return definition.trial_base
        values = definition.space.suggest(self._trial, own)
        return definition.trial_base.override(definition.space.settings(values, own))

    def _open_run(self) -> None:
        origin = self._trial.user_attrs.get(retries.ORIGIN)
        tags = {"settings": json.dumps(self._trial.params, default=str)}
        if origin:
            tags["origin"] = origin
        self._run_id = sweeps.start_trial_run(self._options.parent_run, self._trial.number, tags)
        self._trial.set_user_attr(retries.RUN_ID, self._run_id)

    def _trained(self, experiment: Experiment) -> Outcome:
        options, limits = self._options, self._definition.space.limits
        request = {
            "do": "train",
            "experiment": experiment.to_yaml(),
            "root": options.root,
            "splits": ["valid"],
            "count_parameters": limits.parameters is not None,
        }
        environment = {
            **share_processors(options.worker, options.workers),
            **sweeps.environment_for(self._run_id),
        }
        memory = min(options.trial_memory_gb, limits.memory_gb or math.inf)
        process = TrialProcess(
            request, TrialLimits(options.trial_seconds, memory), environment, options.command
        )
        outcome = process.run(self._epoch_ended, self._network_built, self._stop)
        return judge(outcome, self._definition)

    def _epoch_ended(self, end: EpochEnd) -> str:
        """Report to the pruner; the reason to stop, or nothing."""
        if len(self._definition.objectives) > 1:
            return ""
        value = end.metrics[PRUNED_ON]
        self._trial.report(value * self._sign(), end.epoch)
        if end.is_last:
            return ""  # what time ended before is compared first: slow networks score slowly, too
        pruned = self._trial.should_prune()
        if not pruned or self._trial.user_attrs.get(retries.ORIGIN) == retries.EXPERIMENT:
            return ""  # trial 0 is what all others are measured against
        return f"pruned after epoch {end.epoch}: {PRUNED_ON} {value:.4f}"

    def _sign(self) -> float:
        """Pruners compare in the objective's direction; more of ``PRUNED_ON`` is better."""
        return 1.0 if self._definition.objectives[0].direction == "maximize" else -1.0

    def _network_built(self, parameters: int) -> str:
        limit = self._definition.space.limits.parameters
        if limit is None or parameters <= limit:
            return ""
        return f"{parameters} parameters, and limits.parameters allows {limit}"

    def _file(self, outcome: Outcome) -> None:
        """Write the outcome into the trial's attributes, its constraints and its run."""
        attributes: dict[str, Any] = {
            retries.OUTCOME: outcome.kind,
            retries.REASON: outcome.reason[:2000],
            retries.EPOCHS: outcome.epochs,
            "parameters": outcome.parameters,
            "peak_memory_gb": round(outcome.peak_memory_gb, 3),
            "overhead_seconds": self._overhead(outcome),
            "metrics": {key: outcome.metrics[key] for key in outcome.metrics if "/" in key},
        }
        for key, value in violations(outcome, self._definition).items():
            self._trial.set_constraint(key, value)
        for key, value in attributes.items():
            if value not in (None, "", {}):
                self._trial.set_user_attr(key, value)
        self._close_run(outcome)

    def _overhead(self, outcome: Outcome) -> float | None:
        """Seconds of a complete trial outside training and evaluation."""
        if outcome.kind != "complete":
            return None
        return round(time.monotonic() - self._began - outcome.busy_seconds, 3)

    def _close_run(self, outcome: Outcome) -> None:
        if not self._run_id:
            return
        status = STATUS.get(outcome.kind, "FAILED")
        figures = {"peak_memory_gb": outcome.peak_memory_gb, "trial_seconds": outcome.seconds}
        log = outcome.log if status == "FAILED" else ""
        end = sweeps.TrialEnd(status, outcome.kind, outcome.reason, self._standing(outcome))
        try:
            sweeps.end_trial_run(self._run_id, end, figures, log)
        except TrackingError as error:  # the sweep closes what is left open at its end
            logger.warning("trial %d: %s", self._trial.number, error)

    def _standing(self, outcome: Outcome) -> dict[str, str]:
        """By which a page tells, without the study, which trials may win: tags of the run."""
        tags = {"feasible": json.dumps(is_feasible(outcome, self._definition))}
        if outcome.kind == "complete":
            tags["objective"] = json.dumps(objective_values(outcome, self._definition))
        return tags
