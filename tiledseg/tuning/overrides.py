"""An experiment with some of its settings changed."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tiledseg.config.experiment import Experiment
from tiledseg.config.messages import explain
from tiledseg.errors import ExperimentError


def override(experiment: Experiment, settings: Mapping[str, Any]) -> Experiment:
    """An experiment with other values for some dotted keys.

    It remembers which keys were set, so that ``compact`` leaves the defaults out.

    Raises:
        ExperimentError: A key is unknown, a value impossible, or they do not go together.
    """
    content = compact(experiment)
    for key, value in settings.items():
        *sections, name = key.split(".")
        place = content
        for section in sections:
            inner = place.setdefault(section, {})
            if not isinstance(inner, dict):
                raise ExperimentError(f"{key}: {section} is a value and not a section")
            place = inner
        place[name] = value
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(explain(error, Experiment)) from None


def compact(experiment: Experiment) -> dict[str, Any]:
    """What a person would have written: the keys that were set, in sections."""
    return experiment.model_dump(mode="json", exclude_unset=True)
