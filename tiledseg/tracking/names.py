"""Every name that the product writes into MLflow: tags, metrics, artifacts, aliases.

Whoever reads a run takes its names from here. The direction of a metric is part of its name's
meaning, so it is here as well.
"""

import re

from tiledseg.data.split import SPLITS

PARENT_TAG = "mlflow.parentRunId"
PREFIX = "tiledseg."
"""Of every tag of ours."""
FORMAT_TAG = "tiledseg.format"
"""Version of the form of a run, see ``config.format_version``."""
KIND_TAG = "tiledseg.kind"
"""train, evaluate, sweep or trial."""
ERROR_TAG = "tiledseg.error"
"""What ended a failed run, in one line."""
RUN_TAG = "tiledseg.run_id"
"""On the run that ``mlflow run`` made: the run that holds the results."""
LAUNCHER_TAG = "tiledseg.launcher_run_id"
"""On the run that holds the results: the one that ``mlflow run`` made."""

STUDY_TAG = "tiledseg.study"
STUDY_ID_TAG = "tiledseg.study_id"
WANTED_TAG = "tiledseg.trials"
"""How many trials a study shall have."""
BEST_TAG = "tiledseg.best"
"""The run of the best trial."""
TRIAL_TAG = "tiledseg.trial"
"""The trial's number."""
OUTCOME_TAG = "tiledseg.outcome"
REASON_TAG = "tiledseg.reason"
FEASIBLE_TAG = "tiledseg.feasible"
OBJECTIVE_TAG = "tiledseg.objective"
"""The objectives' values by metric, as JSON."""
SETTINGS_TAG = "tiledseg.config"
"""A trial's parameters in its space, as JSON: one of them may set several keys."""

LATEST = "latest-trained"
CHAMPION = "champion"
CHAMPION_METRIC = "valid/tiled/dice"
"""What the champion is best at. Test scores never choose."""
DEFAULT_OBJECTIVE = CHAMPION_METRIC
PRUNED_ON = "val_dice_coef"
"""Reported after every epoch; what pruners compare."""

SCORES_FILE = "scores.csv"
HISTORY_FILE = "curves/history.csv"
TRIALS_FILE = "trials.csv"
BEST_FILE = "best.yaml"
RETRAINING_FILE = "retraining.csv"
"""Trial, its value at the budget of a trial and in full, and the run."""

MODES = ("tiled", "resized")
SCORES = ("dice", "iou", "precision", "recall", "accuracy")
SPEED = "seconds_per_megapixel"
SEAMS = ("gradient_ratio", "gradient_against_single_pass", "max_difference", "flipped_labels")
EPOCH_SCORES = (
    "dice",
    "dice_coef",
    "iou",
    "iou_coef",
    "sensitivity",
    "specificity",
    "binary_accuracy",
)
"""Of crops; ``val_`` before them on validation tiles, ``_CLASS`` behind them for one class."""
_LOSSES = ("loss", "val_loss")
_EPOCH = re.compile(rf"(?:val_)?(?:{'|'.join(EPOCH_SCORES)})(?:_.+)?", re.DOTALL)
_SCORE = re.compile(
    rf"(?:{'|'.join(SPLITS)})/(?:{'|'.join(MODES)})/(?:{'|'.join(SCORES)})(?:/.+)?", re.DOTALL
)
_COST = re.compile(
    rf"(?:{'|'.join(SPLITS)})/(?:(?:{'|'.join(MODES)})/{SPEED}|seam/(?:{'|'.join(SEAMS)}))"
)
_FIGURES = ("training_seconds", "trial_seconds", "peak_memory_gb")


def has_direction(metric: str) -> bool:
    """Whether it is known if more or less of a metric is better."""
    try:
        is_maximized(metric)
    except ValueError:
        return False
    return True


def is_maximized(metric: str) -> bool:
    """Whether more of a metric is better.

    Names are ``SPLIT/MODE/SCORE``, with ``/CLASS`` behind it where there are several classes,
    ``SPLIT/MODE/seconds_per_megapixel``, ``SPLIT/seam/NAME``, or a metric of epochs. A class may
    be called anything, so names are compared by their parts and never searched for words.

    Raises:
        ValueError: The metric is none of these, so nothing is known about it.
    """
    if _SCORE.fullmatch(metric) or _EPOCH.fullmatch(metric):
        return True
    if _COST.fullmatch(metric) or metric in (*_LOSSES, *_FIGURES):
        return False
    raise ValueError(f"metric {metric!r} has no direction; use one such as {CHAMPION_METRIC}")
