"""Runs a claimed trial: experiment, MLflow run, process, and what is recorded of its end."""

import json
import logging
import math
import threading
import time
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from tiledseg.config.experiment import Experiment
from tiledseg.errors import ExperimentError, TrackingError
from tiledseg.tracking import sweeps
from tiledseg.tracking.names import (
    FEASIBLE_TAG,
    INTERRUPTED,
    OBJECTIVE_TAG,
    ORIGIN_TAG,
    PRUNED_ON,
    SETTINGS_TAG,
    direction_sign,
)
from tiledseg.tuning.execution import retries
from tiledseg.tuning.execution.outcome import (
    Outcome,
    check_outcome,
    is_feasible,
    measure_constraints,
    objective_values,
)
from tiledseg.tuning.execution.resources import share_processors
from tiledseg.tuning.execution.trial_process import EpochEnd, TrialLimits, TrialProcess
from tiledseg.tuning.execution.worker_options import WorkerOptions
from tiledseg.tuning.study.definition import StudyDefinition

logger = logging.getLogger(__name__)

STATUS: Mapping[str, str] = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "infeasible": "KILLED",
    "killed": "KILLED",
    INTERRUPTED: "KILLED",
}
"""Status of a trial's MLflow run by its outcome; FAILED for all others."""


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
        """Run the trial and record its outcome.

        Raises:
            UpdateFinishedTrialError: Another worker took it for dead.
        """
        try:
            outcome = self._run()
            self._record(outcome)
        except UpdateFinishedTrialError:
            self._close_run(Outcome("killed", "taken for dead: no heartbeat"), {})
            raise
        return outcome

    def _run(self) -> Outcome:
        try:
            experiment = self._make_experiment()
        except ExperimentError as error:
            outcome = Outcome("infeasible", str(error))
        else:
            outcome = Outcome("complete")
        try:
            self._open_run()
            return self._train(experiment) if outcome.kind == "complete" else outcome
        except TrackingError as error:
            return Outcome("unavailable", str(error))

    def _make_experiment(self) -> Experiment:
        """The experiment with the sampler's settings, or as it is where the trial is for that."""
        definition, own = self._definition, self._definition.own_settings
        if self._trial.user_attrs.get(retries.ORIGIN) == retries.EXPERIMENT:
            for name in definition.space.own_values(own):
                definition.space.parameters[name].suggest(self._trial, name)
            return definition.trial_base
        values = definition.space.suggest(self._trial, own)
        return definition.trial_base.override(definition.space.settings(values, own))

    def _open_run(self) -> None:
        origin = self._trial.user_attrs.get(retries.ORIGIN)
        tags = {SETTINGS_TAG: json.dumps(self._trial.params, default=str)}
        if origin:
            tags[ORIGIN_TAG] = origin
        self._run_id = sweeps.start_trial_run(self._options.parent_run, self._trial.number, tags)
        self._trial.set_user_attr(retries.RUN_ID, self._run_id)

    def _train(self, experiment: Experiment) -> Outcome:
        options, limits = self._options, self._definition.space.limits
        request = {
            "do": "train",
            "experiment": experiment.to_yaml(),
            "root": options.root,
            "splits": ["valid"],
            "count_parameters": limits.parameters is not None,
        }
        environment = {
            **share_processors(options.worker, options.session.workers),
            **sweeps.environment_for(self._run_id),
        }
        memory = min(options.limits.memory_gb, limits.memory_gb or math.inf)
        process = TrialProcess(
            request, TrialLimits(options.limits.seconds, memory), environment, options.command
        )
        outcome = process.run(self._report_epoch, self._check_size, self._stop)
        return check_outcome(outcome, self._definition)

    def _report_epoch(self, end: EpochEnd) -> str:
        """Report to the pruner; returns the reason to stop, or nothing."""
        if len(self._definition.objectives) > 1:
            return ""
        value = end.metrics[PRUNED_ON]
        if math.isnan(value):
            return ""  # no validation tile has a class, in target or mask: nothing to compare
        # More of it is better, and pruners compare in the objective's direction.
        sign = direction_sign(self._definition.objectives[0].metric)
        self._trial.report(sign * value, end.epoch)
        if end.is_last:
            return ""  # what time ended before is compared first: slow networks score slowly, too
        pruned = self._trial.should_prune()
        if not pruned or self._trial.user_attrs.get(retries.ORIGIN) == retries.EXPERIMENT:
            return ""  # trial 0 is what all others are measured against
        return f"pruned after epoch {end.epoch}: {PRUNED_ON} {value:.4f}"

    def _check_size(self, parameters: int) -> str:
        """The reason to stop before training, or nothing."""
        limit = self._definition.space.limits.parameters
        if limit is None or parameters <= limit:
            return ""
        return f"{parameters} parameters, and limits.parameters allows {limit}"

    def _record(self, outcome: Outcome) -> None:
        """Write the outcome into the trial's attributes, its constraints and its run."""
        attributes: dict[str, Any] = {
            retries.OUTCOME: outcome.kind,
            retries.REASON: outcome.reason[:2000],
            retries.EPOCHS: outcome.epochs,
            "parameters": outcome.parameters,
            "peak_memory_gb": round(outcome.peak_memory_gb, 3),
            "overhead_seconds": self._measure_overhead(outcome),
            "metrics": {key: outcome.metrics[key] for key in outcome.metrics if "/" in key},
        }
        constraints = measure_constraints(outcome, self._definition)
        for key, value in constraints.items():
            self._trial.set_constraint(key, value)
        for key, value in attributes.items():
            if value not in (None, "", {}):
                self._trial.set_user_attr(key, value)
        tags = {FEASIBLE_TAG: json.dumps(is_feasible(constraints))}
        if outcome.kind == "complete":
            tags[OBJECTIVE_TAG] = json.dumps(objective_values(outcome, self._definition))
        self._close_run(outcome, tags)

    def _measure_overhead(self, outcome: Outcome) -> float | None:
        """Seconds of a complete trial outside training and evaluation."""
        if outcome.kind != "complete":
            return None
        return round(time.monotonic() - self._began - outcome.busy_seconds, 3)

    def _close_run(self, outcome: Outcome, tags: Mapping[str, str]) -> None:
        if not self._run_id:
            return
        status = STATUS.get(outcome.kind, "FAILED")
        figures = {"peak_memory_gb": outcome.peak_memory_gb, "trial_seconds": outcome.seconds}
        log = outcome.log if status == "FAILED" else ""
        end = sweeps.TrialEnd(status, outcome.kind, outcome.reason, tags)
        try:
            sweeps.end_trial_run(self._run_id, end, figures, log)
        except TrackingError as error:  # the sweep closes what is left open at its end
            logger.warning("trial %d: %s", self._trial.number, error)
