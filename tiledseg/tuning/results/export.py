"""Settings of a trial as an experiment, and the experiment as a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiledseg.config.experiment import Experiment, load_experiment
from tiledseg.config.strict_yaml import to_yaml
from tiledseg.errors import ExperimentError, OutputError
from tiledseg.images.atomic import atomic_file
from tiledseg.tracking.names import BEST_FILE
from tiledseg.tuning.search.parameters import Categorical
from tiledseg.tuning.study.definition import StudyDefinition


def apply_trial(definition: StudyDefinition, params: Mapping[str, Any]) -> Experiment:
    """The study's experiment with the parameters of a trial, at full budget.

    Args:
        definition: The study's.
        params: As Optuna's storage keeps them.
    """
    values = {name: _restore(definition, name, value) for name, value in params.items()}
    return definition.experiment.override(
        definition.space.settings(values, definition.own_settings)
    )


def export_experiment(experiment: Experiment, folder: Path, note: str) -> Path:
    """Write an experiment under a free name, unless a file holds the same one already.

    Args:
        experiment: What to write.
        folder: Where; NAME-best.yaml, or NAME-best-2.yaml and so on.
        note: Where it comes from, for people; one or more lines.

    Returns:
        The file that holds it.

    Raises:
        OutputError: It cannot be written.
    """
    text = "".join(f"# {line}\n" for line in note.splitlines()) + to_yaml(experiment.compact())
    number = 1
    while True:
        tail = "best" if number == 1 else f"best-{number}"
        path = folder / f"{experiment.dataset.name}-{tail}.yaml"
        try:
            with atomic_file(path, replace=False) as file:
                file.write(text.encode())
        except FileExistsError:
            if _holds(path, experiment):
                return path
            number += 1
        except OutputError as error:
            raise OutputError(
                f"{error}; the best experiment is also in the study's MLflow run, as {BEST_FILE}"
            ) from None
        else:
            return path


def _holds(path: Path, experiment: Experiment) -> bool:
    try:
        return load_experiment(path) == experiment
    except ExperimentError:
        return False


def _restore(definition: StudyDefinition, name: str, value: Any) -> Any:
    """A value as the experiment knows it: lists come back from their text."""
    parameter = definition.space.parameters[name]
    if isinstance(parameter, Categorical):
        return next(choice for choice in parameter.choices if parameter.to_storage(choice) == value)
    return value
