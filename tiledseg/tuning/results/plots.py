"""Pictures of a study: history, importance, slices, parallel coordinates, Pareto front."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import optuna
import optuna.visualization.matplotlib as optuna_plots
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from optuna.trial import TrialState

from tiledseg.tracking.names import PRUNED_ON
from tiledseg.tuning.results.feasible import copy_feasible_trials

logger = logging.getLogger(__name__)

_DPI = 120
_MOST_SLICES = 12


def draw_study(
    study: optuna.Study, names: Sequence[str], importance: pd.DataFrame, folder: Path
) -> list[Path]:
    """Draw every picture that a study has enough trials for.

    Args:
        study: The study.
        names: Names of its objectives.
        importance: See ``measure_importance``.
        folder: An existing folder for the PNG files.

    Returns:
        The files.
    """
    kept = copy_feasible_trials(study, names[0])
    if not kept.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return []
    several = len(names) > 1
    pictures: dict[str, Callable[[], Any]] = {}
    for number, name in enumerate(names):
        options = {"target_name": name, **({"target": _ValueOf(number)} if several else {})}
        tail = f"-{number}" if several else ""
        for kind, draw in _SINGLE.items():
            pictures[kind + tail] = partial(draw, kept, **options)
        pictures["importance" + tail] = partial(_draw_importance, importance, name)
    if several:
        pictures["pareto"] = partial(optuna_plots.plot_pareto_front, kept, target_names=list(names))
    else:
        pictures["epochs"] = partial(_draw_epochs, kept)
    files = [_save(kind, draw, folder) for kind, draw in pictures.items()]
    return [path for path in files if path is not None]


class _ValueOf:
    """A trial's value of one objective."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, trial: optuna.trial.FrozenTrial) -> float:
        return float(trial.values[self._number])


def _draw_history(study: optuna.Study, **options: Any) -> Any:
    axes = optuna_plots.plot_optimization_history(study, **options)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axes


def _draw_epochs(study: optuna.Study) -> Any:
    axes = optuna_plots.plot_intermediate_values(study)
    axes.set(title="Epochs of every trial", xlabel="epoch", ylabel=PRUNED_ON)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axes


def _draw_importance(importance: pd.DataFrame, objective: str) -> Any:
    shares = importance[importance["objective"] == objective].sort_values("share")
    if shares.empty:
        raise ValueError("too few trials")
    axes = plt.figure().subplots()
    axes.barh(shares["setting"], shares["share"])
    axes.set(title=f"Importance of settings for {objective}", xlabel="share")
    return axes


def _draw_slices(study: optuna.Study, **options: Any) -> Any:
    names = sorted(_list_varying(study))[:_MOST_SLICES]
    every: Any = optuna_plots.plot_slice(study, params=names, **options)
    for axes, name in zip(np.atleast_1d(every), names, strict=True):
        axes.set_xlabel(name.rpartition(".")[2])
        axes.tick_params(axis="x", labelrotation=60)
        axes.xaxis.set_minor_formatter(NullFormatter())
    return every


def _draw_parallel(study: optuna.Study, **options: Any) -> Any:
    names = sorted(_list_varying(study))
    axes = optuna_plots.plot_parallel_coordinate(study, params=names, **options)
    axes.set_facecolor("white")
    for each in _figure_of(axes).axes:  # every parameter has one of its own
        each.grid(visible=False)
    for lines in axes.collections:
        lines.set(cmap="viridis_r", linewidth=2.5)  # Optuna's palest line is white
    score = axes.get_xticklabels()[0].get_text()
    axes.set_xticklabels([score, *(name.rpartition(".")[2] for name in names)], rotation=20)
    return axes


def _list_varying(study: optuna.Study) -> list[str]:
    """Parameters that all complete trials have, with more than one value.

    Raises:
        ValueError: There is none.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    common = set.intersection(*(set(trial.params) for trial in trials))
    varied = [name for name in common if len({str(trial.params[name]) for trial in trials}) > 1]
    if not varied:
        raise ValueError("nothing varies")
    return varied


_SINGLE: Mapping[str, Callable[..., Any]] = {
    "history": _draw_history,
    "slices": _draw_slices,
    "parallel": _draw_parallel,
}


def _save(kind: str, draw: Callable[[], Any], folder: Path) -> Path | None:
    """One picture; None where Optuna cannot draw it from these trials."""
    plt.close("all")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            axes = draw()
        figure = _figure_of(axes)
        figure.set_size_inches(*_size(figure))
        path = folder / f"{kind}.png"
        figure.savefig(path, dpi=_DPI, bbox_inches="tight")
    except (ValueError, RuntimeError, ImportError, ZeroDivisionError) as error:
        logger.info("no picture %s: %s", kind, error)
        return None
    finally:
        plt.close("all")
    return path


def _figure_of(axes: Any) -> Figure:
    while not hasattr(axes, "get_figure"):
        axes = axes[0]  # an array of axes
    figure: Figure = axes.get_figure()
    return figure


def _size(figure: Figure) -> tuple[float, float]:
    """Wide enough for the axes that lie side by side."""
    return max(8.0, 2.6 * len(figure.axes)), 5.0
