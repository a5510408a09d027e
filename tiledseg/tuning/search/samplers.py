"""Samplers and pruners by name."""

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from tiledseg.config.messages import nearest
from tiledseg.errors import SweepError
from tiledseg.tuning.search.space import SearchSpace

SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "tpe": (),
    "nsga2": (),
    "random": (),
    "grid": (),
    "gp": ("torch", "scipy"),
    "cmaes": ("cmaes",),
}
"""Names and the packages they need."""
PRUNERS = ("asha", "hyperband", "median", "none")
REDUCTION = 3
"""ASHA and Hyperband: one of so many trials goes on at each rung."""
POPULATION = 12
"""NSGA-II: trials of a generation; Optuna's 50 would make most sweeps one random generation."""
MOST_GRID_POINTS = 100_000


def check_search(sampler: str, pruner: str, objectives: int, space: SearchSpace) -> None:
    """Refuse what cannot work together.

    Raises:
        SweepError: A name is unknown, a package is missing, or the kinds do not go together.
    """
    _check_name("sampler", sampler, SAMPLERS)
    _check_name("pruner", pruner, PRUNERS)
    if objectives > 1 and pruner != "none":
        raise SweepError(
            f"pruner {pruner} does not go with {objectives} objectives: Optuna compares "
            "unfinished trials by one value; use --pruner none or one --objective"
        )
    missing = [package for package in SAMPLERS[sampler] if find_spec(package) is None]
    if missing:
        raise SweepError(
            f"sampler {sampler} needs {' and '.join(missing)}; "
            f"`pip install {' '.join(missing)}`, or use --sampler tpe"
        )
    if sampler == "cmaes" and objectives > 1:
        raise SweepError("sampler cmaes takes one objective; use --sampler nsga2 or tpe")
    if sampler == "grid":
        grid_points(space, {}, seed=0)


def make_sampler(name: str, seed: int, space: SearchSpace, trials: int | None) -> BaseSampler:
    """A sampler.

    Args:
        name: One of ``SAMPLERS``.
        seed: Its seed.
        space: Whether it has conditions decides how TPE models it.
        trials: How many trials the study will have, if known; few leave little time to look
            around before the search is guided.
    """
    startup = min(10, max(4, math.ceil((trials or 40) / 4)))
    conditional = any(parameter.when for parameter in space.parameters.values())
    if name == "tpe":
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=startup,
            multivariate=True if conditional else None,
            group=conditional,
        )
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
    if name == "gp":
        return optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=startup, warn_independent_sampling=False
        )
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(
            seed=seed, n_startup_trials=startup, warn_independent_sampling=False
        )
    return optuna.samplers.RandomSampler(seed=seed)  # the points of a grid are enqueued


def make_trial_seed(seed: int, number: int) -> int:
    """The sampler's seed for a trial: the same whichever worker runs it, or after a restart."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def make_pruner(name: str, epochs: int) -> BasePruner:
    """A pruner, which first looks a sixth of the way, but not after one epoch.

    Args:
        name: One of ``PRUNERS``.
        epochs: Epochs that a trial is likely to reach.
    """
    first = max(min(2, epochs), round(epochs / 6))  # what one epoch has learned is mostly chance
    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=first, reduction_factor=REDUCTION
        )
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=first, max_resource=max(first, epochs), reduction_factor=REDUCTION
        )
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=first)
    return optuna.pruners.NopPruner()


def grid_points(space: SearchSpace, own: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """Every setting of a space once, in an order that the seed shuffles.

    Parameters whose condition is not met are left out, so that no two points mean the same.

    Raises:
        SweepError: A parameter has no list of values, or there are too many points.
    """
    listed = {name: _list_values(space, name) for name in space.parameters}
    size = math.prod(len(values) for values in listed.values())
    if size > MOST_GRID_POINTS:
        raise SweepError(
            f"{space.source}: the grid has {size} points; "
            "use fewer values, or --sampler random or tpe"
        )
    points: dict[str, dict[str, Any]] = {}
    for combination in itertools.product(*listed.values()):
        values = dict(zip(listed, combination, strict=True))
        kept: dict[str, Any] = {}
        for name, parameter in space.parameters.items():
            if parameter.applies({**own, **kept}):
                kept[name] = values[name]
        points[repr(kept)] = kept
    shuffled = list(points.values())
    random.Random(seed).shuffle(shuffled)
    return shuffled


def _list_values(space: SearchSpace, name: str) -> Sequence[Any]:
    points = space.parameters[name].points()
    if points is None:
        raise SweepError(
            f"{space.source}: parameters.{name}: a grid needs a list of values; add step:, "
            "use choices, or --sampler random or tpe"
        )
    return points


def _check_name(what: str, name: str, known: Mapping[str, Any] | Sequence[str]) -> None:
    if name not in known:
        near = nearest(name, known)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SweepError(f"unknown {what} {name!r}; use one of {', '.join(known)}{hint}")
