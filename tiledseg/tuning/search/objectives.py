"""What a study is after: metrics of a run, and whether more or less of them is better."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tiledseg.errors import SweepError

DEFAULT_OBJECTIVE = "valid/tiled/dice"
PRUNED_ON = "val_dice_coef"
"""Reported after every epoch; what pruners compare."""

_SCORES = "dice|iou|precision|recall|accuracy|seconds_per_megapixel"
_SEAMS = "gradient_ratio|gradient_against_single_pass|max_difference|flipped_labels"
_FINAL = re.compile(rf"valid/(?:(?:tiled|whole)/(?:{_SCORES})|seam/(?:{_SEAMS}))")
_EPOCH = ("val_dice", "val_dice_coef", "val_loss", "dice", "dice_coef", "loss")
_LESS_IS_BETTER = re.compile(r"(?:.*/seconds_per_megapixel|.*/seam/.*|(?:val_)?loss)")


@dataclass(frozen=True)
class Objective:
    """One metric and its direction."""

    metric: str
    direction: Literal["maximize", "minimize"]

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
        if not _FINAL.fullmatch(name) and name not in _EPOCH:
            raise SweepError(
                f"objective {name!r} is no metric of a run; use {DEFAULT_OBJECTIVE}, "
                f"valid/(tiled|whole)/({_SCORES}), valid/seam/({_SEAMS}) or {', '.join(_EPOCH)}"
            )
        if names.count(name) > 1:
            raise SweepError(f"objective {name} is given twice; remove one")
    if not names:
        raise SweepError(f"no objective; use {DEFAULT_OBJECTIVE}")
    return tuple(
        Objective(name, "minimize" if _LESS_IS_BETTER.fullmatch(name) else "maximize")
        for name in names
    )
