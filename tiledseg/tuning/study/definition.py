"""The definition of a study: experiment, space, objectives, budget of a trial."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.config.messages import shorten
from tiledseg.tuning.execution.retries import EXPERIMENT, SOURCE
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.search.feasibility import check_space
from tiledseg.tuning.search.objectives import (
    Objective,
    parse_objectives,
    refuse_unknown_classes,
)
from tiledseg.tuning.search.samplers import check_search
from tiledseg.tuning.search.space import SearchSpace, restore_space


@dataclass(frozen=True)
class StudyDefinition:
    """Everything that the scores of a study's trials depend on.

    Trials of one study are compared with each other, so two sweeps share a study only where
    these are equal. How the search is done (sampler, pruner, number of trials, machines) may
    change from one session to the next.
    """

    experiment: Experiment
    """The settings that trials start from, without those of ``space.trial``."""
    space: SearchSpace
    objectives: tuple[Objective, ...]

    @property
    def own_settings(self) -> dict[str, Any]:
        """The experiment's settings, flattened."""
        return self.experiment.flatten()

    @property
    def trial_base(self) -> Experiment:
        """The experiment with the budget of a trial: trial 0."""
        return self.experiment.override(self.space.trial)

    @property
    def likely_epochs(self) -> int:
        """Epochs that a trial is likely to reach: half of them where time may end it before.

        The experiment's own epochs and minutes tell how many go into the minutes of a trial.
        """
        trial, full = self.trial_base.training, self.experiment.training
        if trial.max_minutes is None:
            return trial.epochs
        share = trial.max_minutes / full.max_minutes if full.max_minutes else 1.0
        return max(1, round(min(trial.epochs, full.epochs * share) / 2))

    @property
    def initial_trials(self) -> dict[str, dict[str, Any]]:
        """Trials before the sampler's: values of parameters, by ``EXPERIMENT`` or ``SOURCE``."""
        trials = {EXPERIMENT: self.space.own_values(self.own_settings)}
        source = self.space.start_values(self.own_settings)
        return trials if source is None else {**trials, SOURCE: source}

    def content(self) -> dict[str, Any]:
        """All of it in plain types; ``restore`` gives it back."""
        return {
            "experiment": self.experiment.to_yaml(),
            "space": self.space.content(),
            "objectives": [objective.metric for objective in self.objectives],
        }

    @classmethod
    def restore(cls, content: Mapping[str, Any], source: str) -> Self:
        """The definition that ``content`` was taken from; ``source`` names it in errors."""
        return cls(
            experiment=parse_experiment(content["experiment"], source),
            space=restore_space(content["space"], source),
            objectives=parse_objectives(content["objectives"]),
        )


def define_study(
    experiment: Experiment, space: SearchSpace, options: SweepOptions
) -> StudyDefinition:
    """The definition of a study, checked before anything starts.

    Args:
        experiment: Where the search starts from.
        space: What varies.
        options: With their defaults.

    Raises:
        SweepError: Experiment, space and options do not go together.
    """
    objectives = parse_objectives(options.objectives)
    refuse_unknown_classes(objectives, experiment.class_names)
    check_search(options.sampler, options.pruner, len(objectives), space)
    budget: dict[str, object] = {}
    if options.trial_minutes:
        budget["training.max_minutes"] = options.trial_minutes
    if options.trial_epochs:
        budget["training.epochs"] = options.trial_epochs
    if any("/seam/" in objective.metric for objective in objectives):
        budget["evaluation.seam_images"] = max(1, space.trial["evaluation.seam_images"])
    space = replace(space, trial={**space.trial, **budget})
    check_space(space, experiment)
    return StudyDefinition(experiment, space, objectives)


def list_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Where the contents of two definitions differ, one line for each key, for people.

    A setting that the older one does not know yet has its default there, and so is no difference.

    Raises:
        ExperimentError: The older one has settings that are unknown by now.
    """
    return [
        f"{key} was {shorten(before)}, is {shorten(after)}"
        for key, before, after in _list_changes(_flatten(old), _flatten(new))
    ]


def _flatten(content: Mapping[str, Any]) -> dict[str, Any]:
    content = json.loads(json.dumps(content))  # as it comes out of the storage
    experiment = parse_experiment(content["experiment"], "its experiment")
    return {
        "space": content["space"]["parameters"],
        "trial": content["space"]["trial"],
        "limits": content["space"]["limits"],
        "experiment": experiment.flatten(),
        "objectives": content["objectives"],
    }


def _list_changes(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in {**old, **new}:
            inner = f"{path}: {key}" if path else str(key)
            found.extend(_list_changes(old.get(key, "absent"), new.get(key, "absent"), inner))
        return found
    return [] if old == new else [(path, old, new)]
