"""How a study is searched, and what that means for one experiment and one machine."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from tiledseg.config.experiment import Experiment
from tiledseg.errors import SweepError
from tiledseg.tracking.names import DEFAULT_OBJECTIVE
from tiledseg.tuning.execution import retries
from tiledseg.tuning.execution.resources import memory_per_worker
from tiledseg.tuning.execution.trial_runner import WorkerOptions
from tiledseg.tuning.results.progress import Session
from tiledseg.tuning.search.feasibility import check_space
from tiledseg.tuning.search.objectives import parse_objectives
from tiledseg.tuning.search.samplers import check_search, grid_points, list_untried_points
from tiledseg.tuning.search.space import SearchSpace
from tiledseg.tuning.study.definition import StudyDefinition

DEFAULT_TRIALS = 20
_UNTIMED_SECONDS = 24 * 3600.0
"""Wall time of a trial at most, where the experiment has no budget in minutes."""


@dataclass(frozen=True)
class SweepOptions:
    """How a study is searched; zero and empty text mean: as is usual."""

    study: str = ""
    """Name of the study; by default the dataset and the space's file."""
    storage: str = ""
    """Address of the storage; by default ``sweeps.db`` beside MLflow's database."""
    trials: int = 0
    """Trials that the study should have, earlier sessions and other machines included; by
    default 20, or as many as fit into the hours."""
    hours: float = 0.0
    """After so long no trial is begun."""
    workers: int = 1
    """Trials that run side by side on this machine."""
    sampler: str = "tpe"
    pruner: str = ""
    """By default asha for one objective, none for several."""
    objectives: tuple[str, ...] = (DEFAULT_OBJECTIVE,)
    seed: int = 137
    trial_minutes: float = 0.0
    """Minutes of training in a trial; by default what the experiment says."""
    trial_epochs: int = 0
    """Epochs of a trial; by default what the experiment says."""
    trial_timeout: float = 0.0
    """Minutes after which a trial's process is killed; by default three times the minutes of
    training and ten more."""
    trial_memory: float = 0.0
    """Memory at which a trial's process is killed, in 10**9 bytes; by default nine tenths of
    the machine's, shared among the workers."""

    def __post_init__(self) -> None:
        least = {
            "trials": 0, "hours": 0, "workers": 1, "seed": 0,
            "trial_minutes": 0, "trial_epochs": 0, "trial_timeout": 0, "trial_memory": 0,
        }  # fmt: skip
        for name, value in least.items():
            given = getattr(self, name)
            if not given >= value:
                raise SweepError(f"--{name.replace('_', '-')} is {given}; use {value} or more")

    def completed(self, dataset: str, space: SearchSpace, storage: str) -> "SweepOptions":
        """With the names that are usual where none was given.

        Args:
            dataset: Name of the dataset.
            space: What varies.
            storage: Where studies live unless an address was given.
        """
        return replace(
            self,
            study=self.study or f"{dataset}-{Path(space.source).stem}",
            storage=self.storage or storage,
            trials=self.trials or (0 if self.hours else DEFAULT_TRIALS),
            pruner=self.pruner or ("none" if len(self.objectives) > 1 else "asha"),
        )

    def session(self, definition: StudyDefinition, trials: Sequence[FrozenTrial]) -> Session:
        """What this session should reach, beginning now; a grid has no more than its points.

        Args:
            definition: The study's.
            trials: All that the study has, the starts among them.
        """
        now, wanted = time.time(), self.trials
        if self.sampler == "grid":
            most = len(retries.list_counted(trials)) + len(grid_left(definition, self.seed, trials))
            wanted = min(wanted or most, most)
        return Session(
            began=now,
            wanted=wanted or None,
            deadline=now + 3600 * self.hours if self.hours else None,
            workers=self.workers,
        )


def grid_left(
    definition: StudyDefinition, seed: int, trials: Sequence[FrozenTrial]
) -> list[Mapping[str, Any]]:
    """Points of the study's grid that are to be tried, as its storage keeps them.

    What was tried before the search began is tried again as a point: a start may lack a value.
    """
    space = definition.space
    points = [space.stored(point) for point in grid_points(space, definition.own, seed)]
    searched = [
        trial for trial in retries.list_counted(trials) if retries.ORIGIN not in trial.user_attrs
    ]
    return list_untried_points(points, searched)


def define_study(
    experiment: Experiment, space: SearchSpace, options: SweepOptions
) -> StudyDefinition:
    """What is searched, checked before anything starts.

    Args:
        experiment: Where the search starts from.
        space: What varies.
        options: Completed.

    Raises:
        SweepError: Experiment, space and options do not go together.
    """
    objectives = parse_objectives(options.objectives)
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


def worker_options(
    options: SweepOptions,
    definition: StudyDefinition,
    session: Session,
    parent_run: str,
    root: Path | None,
    command: tuple[str, ...],
) -> WorkerOptions:
    """What the workers of this machine are told."""
    minutes = definition.trial_base.training.max_minutes
    seconds = 60 * (3 * minutes + 10) if minutes else _UNTIMED_SECONDS
    return WorkerOptions(
        storage=options.storage,
        study=options.study,
        parent_run=parent_run,
        trials=session.wanted,
        deadline=session.deadline,
        sampler=options.sampler,
        pruner=options.pruner,
        seed=options.seed,
        trial_seconds=60 * options.trial_timeout or seconds,
        trial_memory_gb=options.trial_memory or memory_per_worker(options.workers),
        workers=options.workers,
        root=str(root.absolute()) if root else None,
        command=command,
    )
