"""An experiment: a YAML file, checked, typed and frozen."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ValidationError, model_validator
from pydantic_core import ErrorDetails

from tiledseg.errors import ExperimentError
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
                below, above = size // stride * stride, (size // stride + 1) * stride
                raise ValueError(
                    f"{key} is {size}, but model.num_layers = {self.model.num_layers} needs a "
                    f"multiple of {stride} px; use {below or above} or {above}, or fewer layers"
                )
        return self

    def flattened(self) -> dict[str, Any]:
        """All settings as one level of dotted keys, for example ``model.base_filters``."""
        return dict(_flatten(self.model_dump(mode="json")))

    def to_yaml(self) -> str:
        """The experiment as YAML text that loads back to an equal experiment."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_experiment(path: Path, overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment from a YAML file.

    Args:
        path: The file.
        overrides: ``KEY=VALUE`` texts with dotted keys, values in YAML's notation.

    Raises:
        ExperimentError: The file or an override is unreadable, unknown or impossible.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ExperimentError(f"{path}: no such experiment file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path}: cannot be read as text ({error})") from None
    return parse_experiment(text, str(path), overrides)


def parse_experiment(text: str, source: str, overrides: Iterable[str] = ()) -> Experiment:
    """Build an experiment from YAML text; ``source`` names the text in errors.

    Raises:
        ExperimentError: See ``load_experiment``.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise ExperimentError(f"{source}: not valid YAML: {where}") from None
    if not isinstance(content, dict):
        raise ExperimentError(
            f"{source}: expected sections such as dataset: and model:, found "
            f"{type(content).__name__}; see experiments/Synthetic-Cell.yaml for an example"
        )
    for override in overrides:
        _apply_override(content, override)
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
    by_folded = {candidate.casefold(): candidate for candidate in known}
    near = get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)
    offer = ", ".join(by_folded[match] for match in near) or ", ".join(known) or "none"
    label = "nearest names" if near else "known datasets"
    raise ExperimentError(
        f"unknown dataset {name!r}; {label}: {offer}. "
        f"To add it, write {path} (copy {folder / 'Synthetic-Cell.yaml'})"
    )


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ExperimentError(
            f"--set {override!r}: expected KEY=VALUE, for example training.epochs=3"
        )
    try:
        parsed = _numbers_as_numbers(yaml.safe_load(value))
    except yaml.YAMLError:
        raise ExperimentError(f"--set {override!r}: {value!r} is not a YAML value") from None
    section = content
    for part in path[:-1]:
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            raise ExperimentError(f"--set {override!r}: {part} is a value, not a section")
    section[path[-1]] = parsed


def _numbers_as_numbers(value: Any) -> Any:
    """YAML 1.1 reads ``1e-3`` as text; people mean a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _explain(detail: ErrorDetails) -> str:
    """One pydantic fault as: key, what was given, what is accepted, nearest spelling."""
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location)
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = list(_section_at(location[:-1]).model_fields)
        near = get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {key} (given {given!r}); {hint}"
    if kind == "missing":
        return f"key {key} is missing; add it"
    if kind == "value_error":
        prefix = f"{key}: " if key else ""
        return prefix + str(detail["ctx"]["error"])
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{key} is {given!r}; {message}"


def _section_at(location: Iterable[str]) -> type[BaseModel]:
    """The section class that a dotted location names."""
    section: type[BaseModel] = Experiment
    for part in location:
        annotation: Any = section.model_fields[part].annotation
        choices = getattr(annotation, "__args__", (annotation,))
        section = next(
            choice
            for choice in choices
            if isinstance(choice, type) and issubclass(choice, BaseModel)
        )
    return section
