"""A search space: settings that vary, settings that all trials share, and limits."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import optuna
from pydantic import Field, ValidationError

from tiledseg.config import PositiveInt, Section
from tiledseg.config.messages import explain, nearest, shorten
from tiledseg.config.regular_files import MOST_SETTINGS_BYTES, read_text
from tiledseg.config.strict_yaml import parse_yaml
from tiledseg.errors import SweepError
from tiledseg.tuning.search.parameters import KINDS, Parameter

AnySection = TypeVar("AnySection", bound=Section)

TRIAL_SETTINGS: Mapping[str, Any] = {
    "training.epoch_pictures": 0,
    "evaluation.comparison_images": 0,
    "evaluation.seam_images": 0,
    "tracking.log_images": False,
    "tracking.register_model": False,
    "tracking.checkpoints": 1,
}
"""Settings of every trial, unless ``trial:`` says otherwise: what a search can do without."""


class Limits(Section):
    """What makes a setting infeasible, however good its score."""

    parameters: PositiveInt | None = None
    """Most weights of the network; more are rejected before training."""
    seconds_per_megapixel: Annotated[float, Field(gt=0.0)] | None = None
    """Most seconds of tiled inference per megapixel, on validation images."""
    memory_gb: Annotated[float, Field(gt=0.0)] | None = None
    """Most memory of a trial's process, in 10**9 bytes; a trial that takes more is ended."""


class InitialTrial(Section):
    """Settings that are tried before the search begins, where they fit the space."""

    name: str
    """Where they come from, for people."""
    dataset: str | None = None
    """Only for this dataset; for any other without it."""
    settings: dict[str, Any]
    """Dotted keys and values; those that the space does not hold are left out."""


class _SpaceFile(Section):
    parameters: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    trial: Annotated[dict[str, Any], Field(default_factory=dict)]
    limits: Limits = Limits()
    initial_trials: Annotated[list[dict[str, Any]], Field(default_factory=list)]


@dataclass(frozen=True)
class SearchSpace:
    """What a study searches."""

    parameters: Mapping[str, Parameter]
    """By name; one that others depend on comes before them."""
    trial: Mapping[str, Any]
    """Settings of every trial."""
    limits: Limits
    initial_trials: tuple[InitialTrial, ...]
    source: str
    """Names the file in errors."""

    def suggest(self, trial: optuna.Trial, own: Mapping[str, Any]) -> dict[str, Any]:
        """Let Optuna choose a value for every parameter that applies.

        Args:
            trial: Asks the sampler; what it was enqueued with goes before.
            own: The experiment's settings, flattened.

        Returns:
            Values by parameter.
        """
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.applies({**own, **values}):
                values[name] = parameter.suggest(trial, name)
        return values

    def draw(self, rng: random.Random, own: Mapping[str, Any]) -> dict[str, Any]:
        """Values at random, without Optuna."""
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if parameter.applies({**own, **values}):
                values[name] = parameter.draw(rng)
        return values

    def settings(self, values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        """What values of parameters mean: dotted keys of an experiment with their values."""
        settings: dict[str, Any] = {}
        for name, value in values.items():
            settings.update(self.parameters[name].settings(name, value, own))
        return settings

    def own_values(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """The experiment's own values, where the space holds them."""
        found: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            value = parameter.own_value(name, own)
            if parameter.applies({**own, **found}) and parameter.contains(value):
                found[name] = value
        return found

    def start_values(self, own: Mapping[str, Any]) -> dict[str, Any] | None:
        """Values of the initial trial that is meant for the dataset.

        Its settings go before the experiment's own; settings that do not fit are left out.

        Returns:
            Values by parameter; None where there is no such trial, or where it comes to the
            experiment's own settings.
        """
        start = self._find_start(str(own["dataset.name"]))
        if start is None:
            return None
        values = self.own_values(own)
        for name, parameter in self.parameters.items():
            value = start.settings.get(name)
            if name in start.settings and parameter.contains(value):
                values[name] = value
        kept = {
            name: value
            for name, value in values.items()
            if self.parameters[name].applies({**own, **values})
        }
        return None if kept == self.own_values(own) else kept

    def to_storage(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as Optuna's storage keeps them."""
        return {name: self.parameters[name].to_storage(value) for name, value in values.items()}

    def content(self) -> dict[str, Any]:
        """Everything that decides what is searched, in plain types."""
        return {
            "parameters": {name: item.model_dump() for name, item in self.parameters.items()},
            "trial": dict(self.trial),
            "limits": self.limits.model_dump(),
        }

    def _find_start(self, dataset: str) -> InitialTrial | None:
        fitting = [start for start in self.initial_trials if start.dataset in (dataset, None)]
        return next((start for start in fitting if start.dataset), next(iter(fitting), None))


def load_space(path: Path) -> SearchSpace:
    """Read a search space from a YAML file.

    Raises:
        SweepError: The file is unreadable, or its notation is wrong. Whether it fits an
            experiment is for ``check_space`` to say.
    """
    try:
        content = parse_yaml(read_text(path, MOST_SETTINGS_BYTES))
    except FileNotFoundError:
        known = ", ".join(sorted(str(other) for other in path.parent.glob("*.yaml"))) or "none"
        raise SweepError(f"{path}: no such search space; known: {known}") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SweepError(f"{path}: not a readable YAML file: {error}") from None
    return parse_space(content, str(path))


def parse_space(content: Any, source: str) -> SearchSpace:
    """Build a search space from the content of its YAML; ``source`` names it in errors.

    Raises:
        SweepError: See ``load_space``.
    """
    if not isinstance(content, dict):
        raise SweepError(f"{source}: expected parameters:, found {shorten(content)}")
    found = _validate(_SpaceFile, content, source)
    parameters = {
        name: _parse_parameter(name, given, source) for name, given in found.parameters.items()
    }
    initial_trials = [
        _validate(InitialTrial, item, f"{source}: initial_trials") for item in found.initial_trials
    ]
    return SearchSpace(
        parameters=_order(parameters, source),
        trial={**TRIAL_SETTINGS, **found.trial},
        limits=found.limits,
        initial_trials=tuple(initial_trials),
        source=source,
    )


def restore_space(content: Mapping[str, Any], source: str) -> SearchSpace:
    """A search space from what ``SearchSpace.content`` gave; it was checked when it was made."""
    return parse_space(json.loads(json.dumps(content)), source)


def _parse_parameter(name: str, given: dict[str, Any], source: str) -> Parameter:
    place, kind = f"{source}: parameters.{name}", str(given.get("type"))
    if kind not in KINDS:
        near = nearest(kind, KINDS)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SweepError(f"{place}: type is {kind!r}; use one of {', '.join(KINDS)}{hint}")
    return _validate(KINDS[kind], given, place)


def _validate(section: type[AnySection], content: Any, place: str) -> AnySection:
    try:
        return section.model_validate(content)
    except ValidationError as error:
        raise SweepError(f"{place}: {explain(error, section)}") from None


def _order(parameters: Mapping[str, Parameter], source: str) -> dict[str, Parameter]:
    """Parameters such that one comes after those in its conditions."""
    ordered: dict[str, Parameter] = {}
    left = dict(parameters)
    while left:
        ready = [name for name, item in left.items() if not set(item.when) & set(left)]
        if not ready:
            raise SweepError(
                f"{source}: the conditions of {' and '.join(left)} wait for each other; "
                "remove one `when`"
            )
        ordered.update({name: left.pop(name) for name in ready})
    return ordered
