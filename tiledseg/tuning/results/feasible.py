"""The trials of a study that its pictures and figures are made of."""

import optuna

from tiledseg.tracking.names import direction_sign
from tiledseg.tuning.execution.outcome import is_feasible
from tiledseg.tuning.execution.retries import list_counted


def copy_feasible_trials(study: optuna.Study, metric: str) -> optuna.Study:
    """A study in memory with the trials that count, have ended and keep the limits.

    Args:
        study: The study.
        metric: Its first objective. Values after epochs, which are stored in its direction, are
            given back as they were measured.
    """
    copy, sign = optuna.create_study(directions=study.directions), direction_sign(metric)
    for trial in list_counted(study.get_trials()):
        if trial.state.is_finished() and is_feasible(trial.constraints):
            epochs = trial.intermediate_values
            trial.intermediate_values = {epoch: sign * value for epoch, value in epochs.items()}
            copy.add_trial(trial)
    return copy
