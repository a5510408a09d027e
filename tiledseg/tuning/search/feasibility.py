"""Checks a search space against an experiment: keys are known, values are possible."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from tiledseg.config.experiment import Experiment
from tiledseg.config.messages import list_keys, nearest, shorten
from tiledseg.errors import ExperimentError, SweepError
from tiledseg.tuning.search.parameters import Parameter, Scale
from tiledseg.tuning.search.space import SearchSpace

DRAWS = 200
"""Random settings of the space among which a doubtful value must fit at least one."""


def check_space(space: SearchSpace, experiment: Experiment) -> None:
    """Refuse a space that cannot be searched with an experiment.

    A value is refused when it fits neither the experiment as it is nor any of many random
    settings of the space. Values that fit some settings and not others stay; the settings that
    they do not fit are rejected trial by trial, before training.

    Raises:
        SweepError: A key is unknown, a value impossible, a condition never met; the message
            names the file, the key, the value and what is accepted.
    """
    try:
        experiment = experiment.override(space.trial)
    except ExperimentError as error:
        raise SweepError(f"{space.source}: trial: {error}") from None
    own = experiment.flatten()
    for name, parameter in space.parameters.items():
        _check_name(space, name, parameter, own)
        _check_conditions(space, name, parameter, own)
        _check_values(space, name, experiment)
    for start in space.initial_trials:
        for key in start.settings:
            if key not in own and key not in space.parameters:
                hint = _hint(key, {*own, *space.parameters})
                raise SweepError(
                    f"{space.source}: initial_trials: {start.name}: unknown key {key}{hint}"
                )


def _check_name(
    space: SearchSpace, name: str, parameter: Parameter, own: Mapping[str, Any]
) -> None:
    place = f"{space.source}: parameters.{name}"
    if not isinstance(parameter, Scale):
        if name in space.trial:
            raise SweepError(f"{place}: also fixed under trial:; remove one of the two")
        return  # an unknown key is found with its values
    if name in own:
        raise SweepError(f"{place}: is a setting itself; give the factor a name of its own")
    for key in parameter.keys:
        if key in space.parameters:
            raise SweepError(f"{place}: keys: {key} is also a parameter; remove one of the two")
        if type(own.get(key)) is not float:
            numbers = [other for other, value in own.items() if type(value) is float]
            hint = ", ".join(nearest(key, numbers, most=3) or numbers)
            raise SweepError(f"{place}: keys: {key} is not a setting with a number; use {hint}")


def _check_conditions(
    space: SearchSpace, name: str, parameter: Parameter, own: Mapping[str, Any]
) -> None:
    for key, values in parameter.conditions.items():
        place = f"{space.source}: parameters.{name}: when: {key}"
        if key not in own and key not in space.parameters:
            raise SweepError(f"{place} is no setting{_hint(key, {*own, *space.parameters})}")
        parent = space.parameters.get(key)
        for value in values:
            if parent is not None and not parent.contains(value):
                raise SweepError(
                    f"{place} is never {value!r}: parameters.{key} does not hold that value"
                )


def _hint(key: str, known: Iterable[str]) -> str:
    near = nearest(key, known)
    return f"; did you mean {near[0]}?" if near else ""


def _check_values(space: SearchSpace, name: str, experiment: Experiment) -> None:
    parameter, own = space.parameters[name], experiment.flatten()
    for value in parameter.extremes():
        problem = _find_problem(space, name, value, experiment)
        if problem and not _is_possible_somewhere(space, name, value, experiment):
            known = name in own or isinstance(parameter, Scale)
            what = f"{shorten(value)} is impossible: " if known else ""
            raise SweepError(f"{space.source}: parameters.{name}: {what}{problem}")


def _find_problem(space: SearchSpace, name: str, value: Any, experiment: Experiment) -> str:
    """What is wrong with a value where nothing else changes; empty if nothing is."""
    own, known = experiment.flatten(), set(list_keys(Experiment))
    parameter = space.parameters[name]
    settings = {key: values[0] for key, values in parameter.conditions.items() if key in known}
    settings.update(parameter.settings(name, value, own))
    try:
        experiment.override(settings)
    except ExperimentError as error:
        return str(error)
    return ""


def _is_possible_somewhere(
    space: SearchSpace, name: str, value: Any, experiment: Experiment
) -> bool:
    rng, own = random.Random(0), experiment.flatten()
    if name not in own and not isinstance(space.parameters[name], Scale):
        return False
    applied = False
    for _ in range(DRAWS):
        values = space.draw(rng, own)
        if name not in values:
            continue
        applied = True
        try:
            experiment.override(space.settings({**values, name: value}, own))
        except ExperimentError:
            continue
        return True
    return not applied  # a parameter of something that this experiment does not use
