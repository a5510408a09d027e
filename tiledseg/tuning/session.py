"""One session of a sweep: when it began, and what it should reach."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from tiledseg.tuning.execution import retries
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.study.definition import StudyDefinition
from tiledseg.tuning.study.grid import list_untried_points


@dataclass(frozen=True)
class Session:
    """When this session began, what it should reach, and how many work on this machine."""

    began: float
    """Seconds since 1970."""
    wanted: int | None
    """Trials that the study should have, earlier sessions and other machines included; None: as
    many as fit into the time."""
    deadline: float | None
    """Seconds since 1970 after which no trial is begun; None without a limit."""
    workers: int


def begin_session(
    options: SweepOptions, definition: StudyDefinition, trials: Sequence[FrozenTrial]
) -> Session:
    """A session that begins now. A grid has no more trials than points.

    Args:
        options: With their defaults.
        definition: The study's.
        trials: All of the study, also those that were queued when it was made.
    """
    now, wanted = time.time(), options.trials
    if options.sampler == "grid":
        untried = list_untried_points(definition, options.seed, trials)
        most = len(retries.list_counted(trials)) + len(untried)
        wanted = min(wanted or most, most)
    return Session(
        began=now,
        wanted=wanted or None,
        deadline=now + 3600 * options.hours if options.hours else None,
        workers=options.workers,
    )
