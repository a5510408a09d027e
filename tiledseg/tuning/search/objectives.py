"""Objectives of a study: metrics of a run, and whether more or less of them is better."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tiledseg.errors import SweepError
from tiledseg.tracking.names import (
    DEFAULT_OBJECTIVE,
    MODES,
    SCORES,
    SEAMS,
    SPEED,
    images_metric,
    is_maximized,
)

_FINAL_METRIC = re.compile(
    rf"valid/(?:(?:{'|'.join(MODES)})/(?:{'|'.join((*SCORES, SPEED))})|seam/(?:{'|'.join(SEAMS)}))"
)
_NEEDED = {
    "dice": "a target or a prediction",
    "iou": "a target or a prediction",
    "precision": "a prediction",
    "recall": "a target",
}
"""What some image must have of a class for a score of it."""
_CLASS_METRIC = re.compile(
    rf"valid/(?:{'|'.join(MODES)})/({'|'.join(_NEEDED)})(?:/(.+))?", re.DOTALL
)
_EPOCH = ("val_dice", "val_dice_coef", "val_loss", "dice", "dice_coef", "loss")
_EPOCH_DICE = ("val_dice", "val_dice_coef")


@dataclass(frozen=True)
class Objective:
    """One metric; its name says which direction is better."""

    metric: str

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """As Optuna calls it."""
        return "maximize" if is_maximized(self.metric) else "minimize"

    @property
    def label(self) -> str:
        """The class that it scores; empty where it is no score of one."""
        found = _CLASS_METRIC.fullmatch(self.metric)
        return (found[2] or "") if found else ""

    def value(self, metrics: Mapping[str, Any]) -> float:
        """The metric's value in a run.

        Raises:
            SweepError: The run has no such metric, or it is not defined there.
        """
        value = float(metrics.get(self.metric, math.nan))
        if not math.isnan(value):
            return value
        found = _CLASS_METRIC.fullmatch(self.metric)
        if found and not metrics.get(images_metric(self.metric), 1):
            of = f"of class {self.label}" if self.label else "of any class"
            raise SweepError(
                f"objective {self.metric} is not defined in this trial: no validation image has "
                f"{_NEEDED[found[1]]} {of}"
            )
        if self.metric in metrics:
            raise SweepError(f"objective {self.metric} is not a number in this trial's best epoch")
        raise SweepError(f"the run has no metric {self.metric}; it has {', '.join(metrics)}")


def parse_objectives(names: Sequence[str]) -> tuple[Objective, ...]:
    """Objectives by the names of their metrics.

    Args:
        names: Metrics of the run's contract, for example ``valid/tiled/dice``, or
            ``valid/tiled/dice/nucleus`` of one of several classes; metrics of an epoch
            (``val_dice_coef``) mean those of the best epoch.

    Raises:
        SweepError: A name is unknown, given twice, or a test score.
    """
    for name in names:
        if name.startswith("test/"):
            raise SweepError(
                f"objective {name}: test images choose nothing; use {name.replace('test', 'valid')}"
            )
        is_final = _FINAL_METRIC.fullmatch(name) or _CLASS_METRIC.fullmatch(name)
        if not is_final and name not in _EPOCH:
            raise SweepError(
                f"objective {name!r} is no metric of a run; use {DEFAULT_OBJECTIVE}, "
                f"valid/({'|'.join(MODES)})/({'|'.join((*SCORES, SPEED))}), "
                f"valid/seam/({'|'.join(SEAMS)}), {', '.join(_EPOCH)}, or of one of several "
                f"classes valid/({'|'.join(MODES)})/({'|'.join(_NEEDED)})/CLASS"
            )
        if names.count(name) > 1:
            raise SweepError(f"objective {name} is given twice; remove one")
    if not names:
        raise SweepError(f"no objective; use {DEFAULT_OBJECTIVE}")
    return tuple(Objective(name) for name in names)


def refuse_unknown_classes(objectives: Sequence[Objective], classes: Sequence[str]) -> None:
    """Refuse scores of classes that an experiment does not have.

    Args:
        objectives: Of the study.
        classes: Names of the labels from 0, the background; two are one class.

    Raises:
        SweepError: One is unknown, or there is but one class.
    """
    for one in objectives:
        if one.label and len(classes) == 2:
            raise SweepError(
                f"objective {one.metric}: the experiment has one class, whose scores have no name "
                f"behind them; use {one.metric.removesuffix(f'/{one.label}')}"
            )
        if one.label and one.label not in classes:
            raise SweepError(
                f"objective {one.metric}: there is no class {one.label!r}; the experiment has "
                f"{', '.join(classes)}"
            )


def refuse_undefined(
    objectives: Sequence[Objective], classes: Sequence[str], shown: Collection[str]
) -> None:
    """Refuse objectives that no trial would have, or wrong predictions alone would give.

    Args:
        objectives: Of the study.
        classes: Names of the labels from 0, the background; two are one class, which always has
            scores.
        shown: Those that the masks of the validation images have.

    Raises:
        SweepError: No validation image has the class; for a mean, any class.
    """
    if len(classes) == 2:
        return
    for one in objectives:
        if one.label and one.label not in shown:
            raise SweepError(
                f"objective {one.metric} is not defined: no validation image has class "
                f"{one.label}; add one that has it, or choose another objective"
            )
        is_mean = _CLASS_METRIC.fullmatch(one.metric) or one.metric in _EPOCH_DICE
        if is_mean and not set(classes[1:]) & set(shown):
            raise SweepError(
                f"objective {one.metric} is not defined: no validation image has a class but the "
                "background; add some that have one, or choose another objective"
            )
