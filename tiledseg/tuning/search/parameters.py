"""How one setting varies: categorical, int, float, or a factor on several settings."""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import Field, model_validator

from tiledseg.config import PositiveInt, Section

Scalar = None | bool | int | float | str
MOST_LISTED = 100
"""Most values of an integer range that are tried or listed one by one."""


class Parameter(Section):
    """One dimension of a search space."""

    when: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Settings with the value, or the list of values, under which this parameter varies."""

    @property
    def conditions(self) -> dict[str, list[Any]]:
        """``when``, always with lists."""
        return {
            key: values if isinstance(values, list) else [values]
            for key, values in self.when.items()
        }

    def applies(self, settings: Mapping[str, Any]) -> bool:
        """Whether the parameter varies under these settings."""
        return all(settings.get(key) in values for key, values in self.conditions.items())

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """Let Optuna choose a value."""
        raise NotImplementedError

    def draw(self, rng: random.Random) -> Any:
        """A value at random."""
        raise NotImplementedError

    def extremes(self) -> Sequence[Any]:
        """Values that are tried against the experiment's schema."""
        raise NotImplementedError

    def points(self) -> Sequence[Any] | None:
        """All values, or None when they cannot be listed."""
        raise NotImplementedError

    def contains(self, value: Any) -> bool:
        """Whether Optuna could choose this value."""
        raise NotImplementedError

    def to_storage(self, value: Any) -> Scalar:
        """A value as Optuna's storage keeps it."""
        return value  # type: ignore[no-any-return]

    def settings(self, name: str, value: Any, own: Mapping[str, Any]) -> dict[str, Any]:
        """What a value means: dotted keys of an experiment with their values.

        Args:
            name: The parameter's name.
            value: Its value.
            own: The experiment's own settings, flattened.
        """
        del own
        return {name: value}

    def own_value(self, name: str, own: Mapping[str, Any]) -> Any:
        """The value that leaves the experiment as it is."""
        return own.get(name)


class Categorical(Parameter):
    """One of several values: text, numbers, true, false, null, or lists of these."""

    type: Literal["categorical"]
    """Says that it is one of several values."""
    choices: Annotated[list[Any], Field(min_length=1)]
    """The values."""

    @model_validator(mode="after")
    def _check_choices(self) -> Self:
        for number, choice in enumerate(self.choices):
            if any(_is_same(choice, other) for other in self.choices[:number]):
                raise ValueError(f"choice {choice!r} is given twice; remove one")
        return self

    def suggest(self, trial: optuna.Trial, name: str) -> Any:  # noqa: D102
        kept = [self.to_storage(choice) for choice in self.choices]
        chosen = trial.suggest_categorical(name, kept)
        return next(c for c, k in zip(self.choices, kept, strict=True) if _is_same(k, chosen))

    def draw(self, rng: random.Random) -> Any:  # noqa: D102
        return rng.choice(self.choices)

    def extremes(self) -> Sequence[Any]:  # noqa: D102
        return self.choices

    def points(self) -> Sequence[Any]:  # noqa: D102
        return self.choices

    def contains(self, value: Any) -> bool:  # noqa: D102
        return any(_is_same(value, choice) for choice in self.choices)

    def to_storage(self, value: Any) -> Scalar:  # noqa: D102
        return value if isinstance(value, Scalar) else json.dumps(value)


class Integer(Parameter):
    """A whole number between two bounds, both included."""

    type: Literal["int"]
    """Says that it is a whole number."""
    low: int
    """Lowest value."""
    high: int
    """Highest value."""
    step: PositiveInt = 1
    """Distance between values."""
    log: bool = False
    """Whether factors matter, and not differences."""

    @model_validator(mode="after")
    def _check_own_bounds(self) -> Self:
        _check_bounds(self.low, self.high, log=self.log, step=self.step if self.step > 1 else None)
        return self

    def suggest(self, trial: optuna.Trial, name: str) -> int:  # noqa: D102
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def draw(self, rng: random.Random) -> int:  # noqa: D102
        return rng.randrange(self.low, self.high + 1, self.step)

    def extremes(self) -> Sequence[int]:  # noqa: D102
        values = range(self.low, self.high + 1, self.step)
        return values if len(values) <= MOST_LISTED else [values[0], values[-1]]

    def points(self) -> Sequence[int]:  # noqa: D102
        return range(self.low, self.high + 1, self.step)

    def contains(self, value: Any) -> bool:  # noqa: D102
        return type(value) is int and value in range(self.low, self.high + 1, self.step)


class Float(Parameter):
    """A number between two bounds, both included."""

    type: Literal["float"]
    """Says that it is a number."""
    low: float
    """Lowest value."""
    high: float
    """Highest value."""
    step: Annotated[float, Field(gt=0.0)] | None = None
    """Distance between values; any value without it."""
    log: bool = False
    """Whether factors matter, and not differences."""

    @model_validator(mode="after")
    def _check_own_bounds(self) -> Self:
        _check_bounds(self.low, self.high, log=self.log, step=self.step)
        return self

    def suggest(self, trial: optuna.Trial, name: str) -> float:  # noqa: D102
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def draw(self, rng: random.Random) -> float:  # noqa: D102
        listed = self.points()
        return rng.choice(listed) if listed else rng.uniform(self.low, self.high)

    def extremes(self) -> Sequence[float]:  # noqa: D102
        return [self.low, self.high]

    def points(self) -> Sequence[float] | None:  # noqa: D102
        if self.low == self.high:
            return [self.low]
        if self.step is None:
            return None
        steps = round((self.high - self.low) / self.step)
        return [self.low + number * self.step for number in range(steps + 1)]

    def contains(self, value: Any) -> bool:  # noqa: D102
        if type(value) not in (int, float) or not self.low <= value <= self.high:
            return False
        listed = self.points()
        return listed is None or any(abs(value - other) < 1e-9 for other in listed)


class Scale(Float):
    """A factor on several settings at once; 1 leaves the experiment's own values alone."""

    type: Literal["scale"]  # type: ignore[assignment]
    """Says that it is a factor."""
    keys: Annotated[list[str], Field(min_length=1)]
    """The settings that are multiplied."""

    def settings(self, name: str, value: Any, own: Mapping[str, Any]) -> dict[str, Any]:  # noqa: D102
        del name
        return {key: float(f"{own[key] * value:.6g}") for key in self.keys}

    def own_value(self, name: str, own: Mapping[str, Any]) -> float:  # noqa: D102
        del name, own
        return 1.0


KINDS: Mapping[str, type[Parameter]] = {
    "categorical": Categorical,
    "int": Integer,
    "float": Float,
    "scale": Scale,
}


def _check_bounds(low: float, high: float, *, log: bool, step: float | None) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}; swap them")
    if log and low <= 0:
        raise ValueError(f"log needs low above 0, not {low}")
    if log and step is not None:
        raise ValueError(f"log and step ({step}) exclude each other; remove one")
    if step is not None:
        steps = (high - low) / step
        if abs(steps - round(steps)) > 1e-9:
            reached = low + int(steps) * step
            raise ValueError(
                f"high {high} is not reached from low {low} in steps of {step}; use {reached:g}"
            )


def _is_same(one: Any, other: Any) -> bool:
    """Equal, and of the same type: 1, 1.0 and true are three values."""
    return type(one) is type(other) and bool(one == other)
