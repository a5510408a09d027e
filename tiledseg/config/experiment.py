"""An experiment: a YAML file, checked, typed and frozen."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from tiledseg.config import (
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
from tiledseg.config.messages import explain, nearest, shorten
from tiledseg.config.regular_files import MOST_SETTINGS_BYTES, read_text
from tiledseg.config.strict_yaml import parse_yaml, to_yaml
from tiledseg.errors import ExperimentError


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
        sizes = {"image.size": self.image.size, "tiling.max_tile": self.tiling.max_tile}
        for key, size in sizes.items():
            if size % stride:
                near = {size // stride * stride or stride, (size // stride + 1) * stride}
                fewer = ", or fewer layers" if "num_layers" in self.model.stride_reason else ""
                raise ValueError(
                    f"{key} is {size}, but {self.model.stride_reason} needs a multiple of "
                    f"{stride} px; use {' or '.join(map(str, sorted(near)))}{fewer}"
                )
        return self

    @model_validator(mode="after")
    def _classes_fit_together(self) -> Self:
        count, names = self.model.num_classes, self.dataset.classes
        labels = max(count, 2)
        if names and len(names) != labels:
            raise ValueError(
                f"dataset.classes names {len(names)} labels ({', '.join(names)}), but "
                f"model.num_classes {count} means {labels}, the background included; set "
                f"model.num_classes to {len(names) if len(names) > 2 else 1}"
            )
        if count > 1 and not self.dataset.holds_labels:
            raise ValueError(
                f"model.num_classes is {count}, but dataset.mask_form "
                f"{self.dataset.mask_form!r} tells only foreground from background; use "
                "mask_form labels or colors with dataset.classes"
            )
        weights = self.training.class_weights
        if weights and len(weights) != labels:
            raise ValueError(
                f"training.class_weights holds {len(weights)} numbers for {labels} labels; give "
                "one each, the background first"
            )
        if self.training.tune_threshold and count > 1:
            raise ValueError(
                "training.tune_threshold chooses the threshold of one class, but "
                f"model.num_classes is {count}; set training.tune_threshold to false, or use "
                "training.class_weights"
            )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels from 0, the background; at least two."""
        if self.dataset.classes:
            return self.dataset.classes
        return ("background", "foreground")

    def flatten(self) -> dict[str, Any]:
        """All settings as one level of dotted keys, for example ``model.base_filters``."""
        return dict(_flatten(self.model_dump(mode="json")))

    def compact(self) -> dict[str, Any]:
        """What a person would have written: the keys that were set, in sections."""
        return self.model_dump(mode="json", exclude_unset=True)

    def override(self, values: Mapping[str, Any]) -> "Experiment":
        """The experiment with other values for some dotted keys, checked as a whole.

        It remembers which keys were set, so that ``compact`` leaves the defaults out.

        Args:
            values: By dotted key, for example ``{"training.epochs": 3}``.

        Raises:
            ExperimentError: A key is unknown, a value impossible, or they do not go together.
        """
        content = self.compact()
        for key, value in values.items():
            _put(content, key, value)
        return _validate(content)

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
        text = read_text(path, MOST_SETTINGS_BYTES)
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
        _put(content, *_parse_override(override), label=f"--set {override!r}: ")
        source += f" --set {override}"
    return _validate(content, f"{source}: ")


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
    near = nearest(name, known, most=3)
    label = "nearest names" if near else "known datasets"
    raise ExperimentError(
        f"unknown dataset {name!r}; {label}: {', '.join(near or known) or 'none'}. "
        f"To add it, write {path} (copy {folder / 'Synthetic-Cell.yaml'})"
    )


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _validate(content: Mapping[str, Any], label: str = "") -> Experiment:
    """The experiment that sections describe; ``label`` begins a message about them."""
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(f"{label}{explain(error, Experiment)}") from None


def _parse_override(override: str) -> tuple[str, Any]:
    """Key and value of a ``KEY=VALUE`` text."""
    key, equals, value = override.partition("=")
    key = ".".join(part.strip() for part in key.split("."))
    if not equals or not all(key.split(".")):
        raise ExperimentError(
            f"--set {override!r}: expected KEY=VALUE, for example training.epochs=3"
        )
    try:
        return key, parse_yaml(value)
    except ValueError as error:
        raise ExperimentError(
            f"--set {override!r}: {value!r} is not a YAML value: {error}"
        ) from None


def _put(content: dict[str, Any], key: str, value: Any, label: str = "") -> None:
    """Put a value at a dotted key, in sections that are made where they are absent."""
    *sections, name = key.split(".")
    place = content
    for depth, section in enumerate(sections, start=1):
        if place.get(section) is None:
            place[section] = {}
        place = place[section]
        if not isinstance(place, dict):
            raise ExperimentError(
                f"{label}{'.'.join(sections[:depth])} is {shorten(place)}, "
                "a value and not a section"
            )
    place[name] = value
