"""Outcomes of trials: their kinds, objective values, limits, and their form in Optuna."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import optuna

from tiledseg.errors import SweepError
from tiledseg.tracking.names import SPEED
from tiledseg.tuning.study.definition import StudyDefinition

_SPEED = f"valid/tiled/{SPEED}"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    kind: str
    """complete, pruned, infeasible, memory, time, diverged, error, unavailable, killed,
    interrupted."""
    reason: str = ""
    """For people; empty when it is complete."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Final metrics, and those of the best epoch."""
    epochs: int = 0
    """Epochs that were trained."""
    parameters: int | None = None
    """Weights of the network, where they were counted."""
    peak_memory_gb: float = 0.0
    seconds: float = 0.0
    """Wall time of the process."""
    busy_seconds: float = 0.0
    """Of these, from the beginning of training to the end of evaluation."""
    log: str = ""
    """The last lines that it wrote to standard error."""


class TrialFailedError(Exception):
    """Ends a trial as FAIL; the reason is in its attributes."""


def check_outcome(outcome: Outcome, definition: StudyDefinition) -> Outcome:
    """The outcome after a look at the study's limits and objectives.

    A trial ended for its memory is infeasible where the study limits memory; one without finite
    objectives has failed. A complete trial that exceeds a limit stays complete, for its score
    teaches the sampler; its reason then says which limit.
    """
    limit = definition.space.limits.memory_gb
    if outcome.kind == "memory" and limit and outcome.peak_memory_gb > limit:
        return replace(outcome, kind="infeasible", reason=_explain_excess(outcome, definition))
    if outcome.kind != "complete":
        return outcome
    try:
        values = objective_values(outcome, definition)
    except SweepError as error:
        return replace(outcome, kind="error", reason=str(error))
    found = list(values.values())
    if not all(math.isfinite(value) for value in found):
        return replace(outcome, kind="diverged", reason=f"objective is {found}")
    return replace(outcome, reason=_explain_excess(outcome, definition))


def report_to_optuna(outcome: Outcome, definition: StudyDefinition) -> list[float]:
    """The objectives of an outcome, or the exception that ends its trial in Optuna.

    Raises:
        TrialPruned: It was pruned or infeasible.
        TrialFailedError: It failed.
    """
    if outcome.kind in ("pruned", "infeasible"):
        raise optuna.TrialPruned(outcome.reason)
    if outcome.kind != "complete":
        raise TrialFailedError(outcome.reason)
    return list(objective_values(outcome, definition).values())


def objective_values(outcome: Outcome, definition: StudyDefinition) -> dict[str, float]:
    """Values of the objectives by metric.

    Raises:
        SweepError: The run has no such metric.
    """
    return {one.metric: one.value(outcome.metrics) for one in definition.objectives}


def measure_constraints(outcome: Outcome, definition: StudyDefinition) -> dict[str, float]:
    """Constraints as Optuna wants them: above zero where a limit is exceeded."""
    used = {"settings": 1.0 if outcome.kind == "infeasible" else 0.0}
    for name, (value, limit) in _find_limits(outcome, definition).items():
        used[name] = value / limit - 1.0
    return used


def is_feasible(constraints: Mapping[str, float]) -> bool:
    """Whether a trial with these constraints keeps all limits."""
    return all(value <= 0.0 for value in constraints.values())


def _explain_excess(outcome: Outcome, definition: StudyDefinition) -> str:
    """Which limits are exceeded, for people; empty where none is."""
    return ", ".join(
        f"infeasible: {name} {value:.4g}, and limits.{name} allows {limit:.4g}"
        for name, (value, limit) in _find_limits(outcome, definition).items()
        if value > limit
    )


def _find_limits(
    outcome: Outcome, definition: StudyDefinition
) -> Mapping[str, tuple[float, float]]:
    """Measured values of an outcome, each with its limit."""
    limits = definition.space.limits
    pairs = {
        "parameters": (outcome.parameters, limits.parameters),
        "seconds_per_megapixel": (outcome.metrics.get(_SPEED), limits.seconds_per_megapixel),
        "memory_gb": (outcome.peak_memory_gb, limits.memory_gb),
    }
    return {
        name: (float(value), float(limit))
        for name, (value, limit) in pairs.items()
        if value is not None and limit
    }
