"""An experiment: a YAML file, checked, typed and frozen."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator
from pydantic_core import ErrorDetails

from tiledseg.errors import ExperimentError
from tiledseg.notation import parse_yaml, to_yaml
from tiledseg.settings import (
    AugmentationSettings,
    DatasetSettings,
    EvaluationSettings,
    ImageSettings,
    ModelSettings,
    Section,
    TilingSettings,
    TrackingSettings,
    TrainingSettings,
)


_repr = Repr(maxstring=80, maxother=80).repr
"""What was given, cut to a length that fits a message."""


class Experiment(Section):
    """Everything that decides what a training does.

    Two experiments that are equal train the same way. Nothing in it depends on the machine.
    """

    dataset: DatasetSettings
    """Which images and masks."""
    image: ImageSettings = ImageSettings()
    """What the network is shown."""
    model: ModelSettings = ModelSettings()
    """The network."""
    training: TrainingSettings = TrainingSettings()
    """How it learns."""
    augmentation: AugmentationSettings = AugmentationSettings()
    """Random changes to training crops."""
    tiling: TilingSettings = TilingSettings()
    """Tiled inference."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """What is measured after training."""
    tracking: TrackingSettings = TrackingSettings()
    """What is kept in the MLflow run."""

    @model_validator(mode="after")
    def _sizes_are_multiples_of_the_stride(self) -> Self:
        stride = self.model.stride
        for key, size in (
            ("image.size", self.image.size),
            ("tiling.max_tile", self.tiling.max_tile),
        ):
            if size % stride:
                near = {size // stride * stride or stride, (size // stride + 1) * stride}
                raise ValueError(
                    f"{key} is {size}, but model.num_layers = {self.model.num_layers} needs a "
                    f"multiple of {stride} px; use {' or '.join(map(str, sorted(near)))}, "
                    "or fewer layers"
                )
        return self

    def flattened(self) -> dict[str, Any]:
        """All settings as one level of dotted keys, for example ``model.base_filters``."""
        return dict(_flatten(self.model_dump(mode="json")))

    def to_yaml(self) -> str:
        """The experiment as YAML text that loads back to an equal experiment."""
        return to_yaml(self.model_dump(mode="json"))


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from a YAML file.

    Args:
        path: The file.
        overrides: ``KEY=VALUE`` texts with dotted keys, values in YAML's notation; a later one
            wins.

    Raises:
        ExperimentError: The file or an override is unreadable, unknown or impossible.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ExperimentError(f"{path}: no such experiment file") from None
    except UnicodeDecodeError as error:
        raise ExperimentError(
            f"{path}: not text in UTF-8 ({error.reason} at byte {error.start}); give a YAML file"
        ) from None
    except OSError as error:
        raise ExperimentError(
            f"{path}: cannot be read ({error.strerror}); give a YAML file"
        ) from None
    return parse_experiment(text, str(path), overrides)


def parse_experiment(text: str, source: str, overrides: Sequence[str] = ()) -> Experiment:
    """Build an experiment from YAML text; ``source`` names the text in errors.

    A section without keys keeps its defaults, as one that is absent does.

    Raises:
        ExperimentError: See ``load_experiment``.
    """
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise ExperimentError(f"{source}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise ExperimentError(
            f"{source}: expected sections such as dataset: and model:, found {found}; "
            "see experiments/Synthetic-Cell.yaml for an example"
        )
    content = {key: {} if value is None else value for key, value in content.items()}
    for override in overrides:
        _apply_override(content, override)
        source += f" --set {override}"
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        lines = [_explain(detail) for detail in error.errors()]
        raise ExperimentError(f"{source}: " + "; ".join(lines)) from None


def available_experiments(folder: Path) -> list[str]:
    """Names of the experiments in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_experiment(name: str, folder: Path) -> Path:
    """The YAML of the dataset called ``name``.

    Raises:
        ExperimentError: There is none; the message offers the nearest names.
    """
    path = folder / f"{name}.yaml"
    known = available_experiments(folder)
    if name in known:
        return path
    near = _nearest(name, known, most=3)
    label = "nearest names" if near else "known datasets"
    raise ExperimentError(
        f"unknown dataset {name!r}; {label}: {', '.join(near or known) or 'none'}. "
        f"To add it, write {path} (copy {folder / 'Synthetic-Cell.yaml'})"
    )


def _nearest(given: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Known spellings that resemble a given one, whatever their case; best first."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    return [
        by_folded[match]
        for match in get_close_matches(given.casefold(), by_folded, n=most, cutoff=0.5)
    ]


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise ExperimentError(
            f"--set {override!r}: expected KEY=VALUE, for example training.epochs=3"
        )
    try:
        parsed = parse_yaml(value)
    except ValueError as error:
        raise ExperimentError(
            f"--set {override!r}: {value!r} is not a YAML value: {error}"
        ) from None
    section = content
    for depth, part in enumerate(path[:-1], start=1):
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            raise ExperimentError(
                f"--set {override!r}: {'.'.join(path[:depth])} is {_repr(section)}, a value and "
                "not a section"
            )
    section[path[-1]] = parsed


def _explain(detail: ErrorDetails) -> str:
    """One pydantic fault as: key, what was given, what is accepted, nearest spelling."""
    location = [str(part) for part in detail["loc"]]
    key, kind, given = ".".join(location), detail["type"], _repr(detail["input"])
    if kind == "extra_forbidden":
        return f"unknown key {key} (given {given}); {_known_instead(location)}"
    if kind == "missing":
        return f"key {key} is missing; add it"
    if kind == "value_error":
        return f"{key}: {detail['ctx']['error']}".removeprefix(": ")
    if kind == "model_type":
        known = ", ".join(_section_at(location).model_fields)
        return f"{key} is {given}, a value and not a section; its keys are {known}"
    message = detail["msg"][0].lower() + detail["msg"][1:]
    if kind == "literal_error":
        near = _nearest(str(detail["input"]), re.findall("'([^']+)'", detail["ctx"]["expected"]))
        message += "".join(f"; did you mean {spelling}?" for spelling in near)
    return f"{key} is {given}; {message}"


def _known_instead(location: Sequence[str]) -> str:
    """Where a misplaced key belongs, how it is spelt, or what its section knows."""
    *section, name = location
    homes = [key for key in _keys(Experiment) if key.rpartition(".")[2] == name]
    if homes:
        return f"did you mean {' or '.join(homes)}?"
    known = list(_section_at(section).model_fields)
    near = _nearest(name, known)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted keys of a section and of those in it."""
    for name, field in section.model_fields.items():
        inner = _section_in(field.annotation)
        if inner is None:
            yield f"{prefix}{name}"
        else:
            yield from _keys(inner, f"{prefix}{name}.")


def _section_at(location: Iterable[str]) -> type[BaseModel]:
    """The section class that a dotted location names."""
    section: type[BaseModel] = Experiment
    for part in location:
        section = _section_in(section.model_fields[part].annotation) or section
    return section


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section class that a field holds, perhaps beside None."""
    for choice in getattr(annotation, "__args__", (annotation,)):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None
