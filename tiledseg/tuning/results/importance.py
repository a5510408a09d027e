"""How much each setting matters for each objective, as Optuna measures it."""

import warnings
from collections.abc import Sequence

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from tiledseg.tracking.names import direction_sign
from tiledseg.tuning.results.feasible import copy_feasible_trials

_COLUMNS = ["objective", "setting", "share"]


def measure_importance(study: optuna.Study, metrics: Sequence[str]) -> pd.DataFrame:
    """Importance of every parameter for reaching the best tenth of trials, by PED-ANOVA.

    See Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance
    in Arbitrary Subspaces" (IJCAI 2023). Feasible and complete trials are compared.

    Args:
        study: The study.
        metrics: Its objectives.

    Returns:
        Columns ``objective``, ``setting`` and ``share``; shares of an objective add up to 1, the
        largest first. An objective with fewer than two different values has no rows.
    """
    feasible = copy_feasible_trials(study, metrics[0])
    trials = feasible.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    rows = []
    for number, metric in enumerate(metrics):
        if len({trial.values[number] for trial in trials}) < 2:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that less must be better, which _Loss sees to
            shares = optuna.importance.get_param_importances(feasible, target=_Loss(number, metric))
        rows += [(metric, name, share) for name, share in shares.items()]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.sort_values(
        ["objective", "share"],
        ascending=[True, False],
        ignore_index=True,
        key=lambda column: column.map(metrics.index) if column.name == "objective" else column,
    )


class _Loss:
    """A trial's value of one objective, such that less is better."""

    def __init__(self, number: int, metric: str) -> None:
        self._number, self._sign = number, direction_sign(metric)

    def __call__(self, trial: FrozenTrial) -> float:
        return -self._sign * float(trial.values[self._number])
