"""The options of a worker, and their form in the message to its process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tiledseg.tuning.execution.resources import memory_per_worker
from tiledseg.tuning.execution.trial_process import COMMAND, TrialLimits
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.session import Session
from tiledseg.tuning.study.definition import StudyDefinition

_UNTIMED_SECONDS = 24 * 3600.0
"""Wall time of a trial at most, where the experiment has no budget in minutes."""


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works; what it searches lies in the study."""

    sweep: SweepOptions
    """With their defaults."""
    session: Session
    limits: TrialLimits
    """What a trial may take."""
    parent_run: str
    """The study's MLflow run."""
    root: str | None = None
    """Folder of datasets; by default the one that ``TILEDSEG_DATA`` names."""
    command: tuple[str, ...] = COMMAND
    """The program that runs a trial."""
    worker: int = 0
    """Number of this worker on its machine."""

    def to_message(self) -> dict[str, Any]:
        """Plain types, which JSON can carry."""
        return asdict(self)

    @staticmethod
    def from_message(message: Mapping[str, Any]) -> "WorkerOptions":
        """The options that ``to_message`` was called on."""
        return TypeAdapter(WorkerOptions).validate_python(message)


def make_worker_options(
    options: SweepOptions,
    definition: StudyDefinition,
    session: Session,
    parent_run: str,
    root: Path | None,
    command: tuple[str, ...],
) -> WorkerOptions:
    """The options of the workers of this machine; see ``WorkerOptions``."""
    minutes = definition.trial_base.training.max_minutes
    seconds = 60 * (3 * minutes + 10) if minutes else _UNTIMED_SECONDS
    limits = TrialLimits(
        seconds=60 * options.trial_timeout or seconds,
        memory_gb=options.trial_memory or memory_per_worker(options.workers),
    )
    root_text = str(root.absolute()) if root else None
    return WorkerOptions(options, session, limits, parent_run, root_text, command)
