"""What a study makes of a trial's outcome: its values, its limits, what Optuna is told."""

import dataclasses
import math
from collections.abc import Mapping

import optuna

from tiledseg.errors import SweepError
from tiledseg.tuning.execution.child_process import Outcome
from tiledseg.tuning.study.definition import StudyDefinition

_SPEED = "valid/tiled/seconds_per_megapixel"


class TrialFailedError(Exception):
    """Ends a trial as FAIL; why is in its attributes."""


def judge(outcome: Outcome, definition: StudyDefinition) -> Outcome:
    """An outcome as the study's limits and objectives see it.

    A complete trial that exceeds a limit stays complete, for its score teaches the sampler; its
    reason then says which limit.
    """
    limit = definition.space.limits.memory_gb
    if outcome.kind == "memory" and limit and outcome.peak_memory_gb > limit:
        return dataclasses.replace(outcome, kind="infeasible", reason=_excess(outcome, definition))
    if outcome.kind != "complete":
        return outcome
    try:
        values = objective_values(outcome, definition)
    except SweepError as error:
        return dataclasses.replace(outcome, kind="error", reason=str(error))
    found = list(values.values())
    if not all(math.isfinite(value) for value in found):
        return dataclasses.replace(outcome, kind="diverged", reason=f"objective is {found}")
    return dataclasses.replace(outcome, reason=_excess(outcome, definition))


def report_to_optuna(outcome: Outcome, definition: StudyDefinition) -> list[float]:
    """What Optuna is told of an outcome.

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


def violations(outcome: Outcome, definition: StudyDefinition) -> dict[str, float]:
    """Constraints as Optuna wants them: above zero where a limit is exceeded."""
    used = {"settings": 1.0 if outcome.kind == "infeasible" else 0.0}
    for name, (value, limit) in _find_limits(outcome, definition).items():
        used[name] = value / limit - 1.0
    return used


def is_feasible(outcome: Outcome, definition: StudyDefinition) -> bool:
    """Whether a trial keeps all limits."""
    return all(value <= 0.0 for value in violations(outcome, definition).values())


def _excess(outcome: Outcome, definition: StudyDefinition) -> str:
    """Which limits are exceeded, for people; empty where none is."""
    return ", ".join(
        f"infeasible: {name} {value:.4g}, and limits.{name} allows {limit:.4g}"
        for name, (value, limit) in _find_limits(outcome, definition).items()
        if value > limit
    )


def _find_limits(
    outcome: Outcome, definition: StudyDefinition
) -> Mapping[str, tuple[float, float]]:
    """What is known of an outcome beside its limit."""
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
