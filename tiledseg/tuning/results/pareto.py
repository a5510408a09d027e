"""The Pareto front, by Optuna."""

from collections.abc import Sequence

import optuna
from optuna.trial import create_trial

from tiledseg.tracking.names import is_maximized


def find_front(rows: Sequence[Sequence[float]], metrics: Sequence[str]) -> list[bool]:
    """Which rows no other row beats in one metric without losing in another.

    Args:
        rows: Values of the metrics, none of them NaN.
        metrics: Their names, which say what direction is better.

    Returns:
        For each row whether it is on the front; of equal rows all are.
    """
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it tells of every study that is made
    try:
        study = optuna.create_study(
            directions=["maximize" if is_maximized(name) else "minimize" for name in metrics]
        )
    finally:
        optuna.logging.set_verbosity(before)
    study.add_trials([create_trial(values=list(row)) for row in rows])
    best = {trial.number for trial in study.best_trials}
    return [number in best for number in range(len(rows))]
