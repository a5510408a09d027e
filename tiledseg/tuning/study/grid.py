"""The points of a study's grid that no trial has yet."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from tiledseg.tuning.execution import retries
from tiledseg.tuning.search.samplers import grid_points
from tiledseg.tuning.study.definition import StudyDefinition

_QUEUED = "fixed_params"
"""Where Optuna keeps the values that a trial was enqueued with."""


def list_untried_points(
    definition: StudyDefinition, seed: int, trials: Sequence[FrozenTrial]
) -> list[dict[str, Any]]:
    """Points that are to be tried, whichever sampler or seed the others came from.

    The initial trials do not count: one of them may lack a value, and so be no point.

    Args:
        definition: The study's.
        seed: Shuffles the points.
        trials: All of the study.

    Returns:
        Values as Optuna's storage keeps them.
    """
    space = definition.space
    points = [
        space.to_storage(point) for point in grid_points(space, definition.own_settings, seed)
    ]
    tried = {
        _describe_point(trial.params or trial.system_attrs.get(_QUEUED, {}))
        for trial in retries.list_counted(trials)
        if retries.ORIGIN not in trial.user_attrs
    }
    return [point for point in points if _describe_point(point) not in tried]


def _describe_point(values: Mapping[str, Any]) -> str:
    """Values as text; floats to nine digits, for steps add up to a little more or less."""
    short = {
        name: f"{value:.9g}" if isinstance(value, float) else value
        for name, value in values.items()
    }
    return repr(sorted(short.items()))
