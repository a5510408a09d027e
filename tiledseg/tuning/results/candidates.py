"""Candidates for a training in full: complete trials, ranked, with their experiments."""

from collections.abc import Sequence
from dataclasses import dataclass

from tiledseg.config.experiment import Experiment
from tiledseg.tracking.names import direction_sign
from tiledseg.tuning.execution.retries import EXPERIMENT
from tiledseg.tuning.results.export import apply_trial
from tiledseg.tuning.results.progress import StudyProgress, TrialRow
from tiledseg.tuning.study.definition import StudyDefinition


@dataclass(frozen=True)
class Candidate:
    """A complete trial, and its experiment at full budget."""

    number: int
    value: float
    """Of the first objective, at the budget of a trial."""
    is_own: bool
    """Whether these are the experiment's own settings."""
    experiment: Experiment


def rank_trials(definition: StudyDefinition, progress: StudyProgress) -> tuple[Candidate, ...]:
    """Complete and feasible trials, the best in the first objective first.

    Of equals there, the best in the next one: the first is the best trial of the study.
    """
    signs = [direction_sign(objective.metric) for objective in definition.objectives]
    rows = [row for row in progress.rows if row.state == "complete" and row.is_feasible]

    def rank(row: TrialRow) -> tuple[list[float], int]:
        return [-sign * value for sign, value in zip(signs, row.values, strict=True)], row.number

    rows.sort(key=rank)
    return tuple(
        Candidate(row.number, row.values[0], _is_own(row), make_full_experiment(definition, row))
        for row in rows
    )


def make_full_experiment(definition: StudyDefinition, row: TrialRow) -> Experiment:
    """The settings of a trial at full budget."""
    return apply_trial(definition, {} if _is_own(row) else row.params)


def choose_candidates(ranking: Sequence[Candidate], count: int) -> list[Candidate]:
    """The best few; the experiment's own settings are among them where there are several."""
    chosen = list(ranking[:count])
    own = [candidate for candidate in ranking if candidate.is_own]
    if count > 1 and own and own[0] not in chosen:
        chosen[-1] = own[0]
    return chosen


def _is_own(row: TrialRow) -> bool:
    return row.origin == EXPERIMENT
