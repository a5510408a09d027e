"""Objectives of a study: metrics of a run, and whether more or less of them is better."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tiledseg.errors import SweepError
from tiledseg.tracking.names import DEFAULT_OBJECTIVE, MODES, SCORES, SEAMS, SPEED, is_maximized

_FINAL_METRIC = re.compile(
    rf"valid/(?:(?:{'|'.join(MODES)})/(?:{'|'.join((*SCORES, SPEED))})|seam/(?:{'|'.join(SEAMS)}))"
)
_EPOCH = ("val_dice", "val_dice_coef", "val_loss", "dice", "dice_coef", "loss")


@dataclass(frozen=True)
class Objective:
    """One metric; its name says which direction is better."""

    metric: str

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """As Optuna calls it."""
        return "maximize" if is_maximized(self.metric) else "minimize"

    def value(self, metrics: Mapping[str, Any]) -> float:
        """The metric's value in a run.

        Raises:
            SweepError: The run has no such metric.
        """
        if self.metric not in metrics:
            raise SweepError(f"the run has no metric {self.metric}; it has {', '.join(metrics)}")
        return float(metrics[self.metric])


def parse_objectives(names: Sequence[str]) -> tuple[Objective, ...]:
    """Objectives by the names of their metrics.

    Args:
        names: Metrics of the run's contract, for example ``valid/tiled/dice``; metrics of an
            epoch (``val_dice_coef``) mean those of the best epoch.

    Raises:
        SweepError: A name is unknown, given twice, or a test score.
    """
    for name in names:
        if name.startswith("test/"):
            raise SweepError(
                f"objective {name}: test images choose nothing; use {name.replace('test', 'valid')}"
            )
        if not _FINAL_METRIC.fullmatch(name) and name not in _EPOCH:
            raise SweepError(
                f"objective {name!r} is no metric of a run; use {DEFAULT_OBJECTIVE}, "
                f"valid/({'|'.join(MODES)})/({'|'.join((*SCORES, SPEED))}), "
                f"valid/seam/({'|'.join(SEAMS)}) or {', '.join(_EPOCH)}"
            )
        if names.count(name) > 1:
            raise SweepError(f"objective {name} is given twice; remove one")
    if not names:
        raise SweepError(f"no objective; use {DEFAULT_OBJECTIVE}")
    return tuple(Objective(name) for name in names)
