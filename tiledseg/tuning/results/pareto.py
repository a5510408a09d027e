"""The Pareto front of any two metrics, by Optuna."""

from collections.abc import Sequence

import optuna
import pandas as pd
from optuna.trial import create_trial

from tiledseg.tracking.names import is_maximized


def find_front(table: pd.DataFrame, metrics: Sequence[str]) -> pd.Series:
    """Which rows no other row beats in one metric without losing in another.

    Args:
        table: A column for each metric, without gaps.
        metrics: Columns. Their names say which direction is better.

    Returns:
        Booleans with the index of the table; of equal rows all are on the front.
    """
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # that a study was made is no news
    try:
        study = optuna.create_study(
            directions=["maximize" if is_maximized(name) else "minimize" for name in metrics]
        )
    finally:
        optuna.logging.set_verbosity(before)
    rows = table[list(metrics)].astype(float).to_numpy().tolist()
    study.add_trials([create_trial(values=values) for values in rows])
    best = {trial.number for trial in study.best_trials}
    return pd.Series([number in best for number in range(len(rows))], index=table.index, dtype=bool)
