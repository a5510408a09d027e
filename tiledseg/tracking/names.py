"""Every name that the product writes into MLflow: tags, metrics, artifacts, aliases.

Whoever reads a run takes its names from here. The direction of a metric is part of its name's
meaning, so it is here as well.
"""

import re
from collections.abc import Iterable

from tiledseg.data.split import SPLITS
from tiledseg.evaluation.scores import Figure

PARENT_TAG = "mlflow.parentRunId"
PREFIX = "tiledseg."
"""Of every tag of ours."""
FORMAT_TAG = "tiledseg.format"
"""Version of the format of a run, see ``config.format_version``."""
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
SAMPLER_TAG = "tiledseg.sampler"
PRUNER_TAG = "tiledseg.pruner"
SEED_TAG = "tiledseg.seed"
HOURS_TAG = "tiledseg.hours"
WANTED_TAG = "tiledseg.trials"
"""How many trials a study shall have."""
BEST_TAG = "tiledseg.best"
"""The run of the best trial."""
TRIAL_TAG = "tiledseg.trial"
"""The trial's number."""
ORIGIN_TAG = "tiledseg.origin"
"""``experiment`` or ``source`` where the sampler did not choose a trial's settings."""
OUTCOME_TAG = "tiledseg.outcome"
DIED, INTERRUPTED = "died", "interrupted"
"""Outcomes of a trial: its worker is gone; its sweep was stopped by Ctrl-C or SIGTERM."""
RETRIED = (DIED, "killed", "unavailable")
"""Outcomes that say nothing about the settings: such a trial is run once more."""
REASON_TAG = "tiledseg.reason"
FEASIBLE_TAG = "tiledseg.feasible"
OBJECTIVE_TAG = "tiledseg.objective"
"""The objectives' values by metric, as JSON."""
SETTINGS_TAG = "tiledseg.settings"
"""A trial's parameters in its space, as JSON: one of them may set several keys."""

LATEST = "latest-trained"
CHAMPION = "champion"
CHAMPION_METRIC = "valid/tiled/dice"
"""What the champion is best at. Test scores never choose."""
DEFAULT_OBJECTIVE = CHAMPION_METRIC
PRUNED_ON = "val_dice_coef"
"""Reported after every epoch; what pruners compare."""

THRESHOLD = "threshold"
"""The threshold that was chosen on validation images."""

EXPERIMENT_FILE = "experiment.yaml"
DIFF_FILE = "code.diff"
"""How the code differed from its revision, where it did."""
DATA_FILE = "data.csv"
"""Split, stem, and the digests of image and mask, of each pair of the dataset."""
SCORES_FILE = "scores.csv"
"""One row per image and mode."""
SCORES_TABLE_FILE = "scores.json"
"""The same, as MLflow's own pages show it."""
CURVES_FOLDER = "curves"
HISTORY_FILE = f"{CURVES_FOLDER}/history.csv"
RATES_FILE = f"{CURVES_FOLDER}/rates.csv"
"""The learning rate of every step."""
CURVES_PICTURE = "curves.png"
"""In the folder of curves."""
MODEL = "model"
"""The logged models of epochs that were the best so far: ``runs:/ID/model`` is the last of them,
the best."""
CHECKPOINT = "checkpoint"
"""The logged models of other good epochs."""
STATE = "state"
"""The logged model that a training goes on from: network, optimizer, and all that changes."""
CHECKPOINT_TAG = "tiledseg.checkpoint"
"""On logged models: ``epoch`` or ``state``."""
EPOCH_TAG, BATCH_TAG = "tiledseg.epoch", "tiledseg.batch"
"""On logged models: complete epochs, and batches of the next one. On versions: the epoch."""
REGISTERED_TAG = "tiledseg.registered"
"""On the logged model that is registered: the name. It is never removed."""
CLASSES_TAG = "tiledseg.scored_classes"
"""On versions: the classes in the targets of the validation images, as JSON."""
THRESHOLD_TAG, TILING_TAG = "tiledseg.threshold", "tiledseg.tiling_mode"
"""On logged models and versions: what stands in the model's own files, too."""
RESUMED_TAG = "tiledseg.resumed_from"
"""On a run: the finished run whose training it goes on with."""
HEARTBEAT_TAG = "tiledseg.heartbeat"
"""On the run of a study: when one of its sweeps last said that it lives, seconds since 1970."""
OFFLINE_TAG = "tiledseg.offline_run"
"""On a run that was made without a store: the id that it had then."""
REPRODUCES_TAG = "tiledseg.reproduces"
"""On a run: the one that it repeats, see ``reproduction``."""
REVISION_TAG = "tiledseg.revision"
"""On a run: the commit of the code, where that lies in a git checkout."""
DIRTY_TAG = "tiledseg.dirty"
"""Beside the revision: ``true`` where the code was changed since; how says ``DIFF_FILE``."""
VERSIONS_TAG = "tiledseg.versions"
"""On a run: versions of the packages that matter, as JSON."""
DEVICES_TAG = "tiledseg.devices"
PROCESSOR_TAG = "tiledseg.processor"
THREADS_TAG = "tiledseg.threads"
ARITHMETIC_TAG = "tiledseg.arithmetic"
"""On a run: Keras' backend, the precision of training, and whether XLA compiles the step."""
TIMINGS_TAG = "tiledseg.arithmetic_timings"
"""On a run: what a step took in each arithmetic that was timed."""
DATA_DIGEST_TAG = "tiledseg.data_digest"
"""On a run: the digest of its dataset."""
SETTING_TAG = "tiledseg.set."
"""Before the key of a setting that a resumption has changed."""
OWNER_TAG = "tiledseg.owner"
"""On a run: the process it belongs to, see ``ownership``."""
PREDICTIONS_FOLDER = "predictions"
"""``SPLIT/LAYER/STEM.png`` in it; images keep their own suffix."""
IMAGE_LAYER, TARGET_LAYER, GRID_LAYER = "image", "target", "grid"
"""Layers beside those of the modes; a grid is where tiles met, as JSON."""
COMPARISON_FOLDER = "comparison"
"""``SPLIT/STEM.png`` in it: image, target and predictions on one sheet."""
EPOCHS_KEY = "epochs"
"""MLflow's key of epoch-change masks is ``epochs/STEM/MODE``."""
EPOCH_PICTURES_FOLDER = "images"
"""Where MLflow keeps them."""
PLOTS_FOLDER = "plots"
"""Of a study."""
TRIAL_LOG_FILE = "trial.log"
"""The last lines that a trial wrote."""
TRIALS_FILE = "trials.csv"
BEST_FILE = "best.yaml"
IMPORTANCE_FILE = "importance.csv"
"""Of a study: objective, setting, and the setting's share of the importance of all."""
RETRAINING_FILE = "retraining.csv"
"""Trial, its value at the budget of a trial and in full, and the run."""

MODES = ("tiled", "resized")
SCORES = ("dice", "iou", "precision", "recall", "accuracy")
SPEED = "seconds_per_megapixel"
IMAGES = "images"
"""In the names of metrics that say how many images a final figure is taken from:
``valid/tiled/images/dice`` of ``valid/tiled/dice``. More of them is neither better nor worse."""
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
"""Of crops; ``val_`` before them on validation tiles, ``_CLASS`` behind them for one class. One
that is not defined in an epoch is not logged for it."""
_LOSSES = ("loss", "val_loss")
_EPOCH = re.compile(rf"(?:val_)?(?:{'|'.join(EPOCH_SCORES)})(?:_.+)?", re.DOTALL)
_SCORE = re.compile(
    rf"(?:{'|'.join(SPLITS)})/(?:{'|'.join(MODES)})/(?:{'|'.join(SCORES)})(?:/.+)?", re.DOTALL
)
_SEAM = re.compile(rf"(?:{'|'.join(SPLITS)})/seam/(?:{'|'.join(SEAMS)})")
_OF_CLASS = re.compile(
    rf"(?:{'|'.join(SPLITS)})/(?:{'|'.join(MODES)})/(?:{IMAGES}/)?{SCORES[0]}/(.+)", re.DOTALL
)
_COST = re.compile(
    rf"(?:{'|'.join(SPLITS)})/(?:(?:{'|'.join(MODES)})/{SPEED}|seam/(?:{'|'.join(SEAMS)}))"
)
_FIGURES = ("training_seconds", "trial_seconds", "peak_memory_gb")


def predictions_folder(split: str, layer: str) -> str:
    """The folder of a run with one layer of a split's images.

    Args:
        split: ``valid`` or ``test``.
        layer: A mode, or one of ``IMAGE_LAYER``, ``TARGET_LAYER`` and ``GRID_LAYER``.
    """
    return f"{PREDICTIONS_FOLDER}/{split}/{layer}"


def grid_file(split: str, stem: str) -> str:
    """The file of a run that says where the tiles of an image met."""
    return f"{predictions_folder(split, GRID_LAYER)}/{stem}.json"


def is_reproducible(metric: str) -> bool:
    """Whether the same training gives the same value of a final metric: no time, no memory."""
    split, _, rest = metric.partition("/")
    return metric in ("best_epoch", THRESHOLD) or (
        split in SPLITS and rest not in {f"{mode}/{SPEED}" for mode in MODES}
    )


def final_metric(split: str, part: str, figure: str) -> str:
    """The metric of a final figure, for example ``test/tiled/dice/nucleus``.

    Args:
        split: ``train``, ``valid`` or ``test``.
        part: A mode, or ``seam``.
        figure: A score, with ``/CLASS`` behind it where it is one of a class; ``SPEED``; one of
            ``SEAMS``.
    """
    return f"{split}/{part}/{figure}"


def images_metric(metric: str) -> str:
    """The metric that says how many images a final one is taken from.

    Args:
        metric: As ``final_metric`` names it.
    """
    split, part, figure = metric.split("/", 2)
    return f"{split}/{part}/{IMAGES}/{figure}"


def name_figures(figures: Iterable[Figure]) -> dict[str, float]:
    """Metrics of a run: what is defined of its final figures, and the images behind each."""
    metrics = {}
    for figure in figures:
        name = final_metric(figure.split, figure.part, figure.name)
        if figure.value is not None:
            metrics[name] = figure.value
        metrics[images_metric(name)] = float(figure.images)
    return metrics


def is_images_metric(metric: str) -> bool:
    """Whether a metric is a number of images, see ``images_metric``."""
    return metric.split("/")[2:3] == [IMAGES]


def is_seam_figure(metric: str) -> bool:
    """Whether a metric is a figure of seams, and not a number of images."""
    return _SEAM.fullmatch(metric) is not None


def list_scored_classes(metrics: Iterable[str]) -> list[str]:
    """Names of a run's classes, the background included; empty where it has one class.

    Args:
        metrics: Names of a run's metrics, which say the order.
    """
    found = (_OF_CLASS.fullmatch(name) for name in metrics)
    return list(dict.fromkeys(match[1] for match in found if match))


def is_scored(metrics: Iterable[str], split: str) -> bool:
    """Whether images of a split were scored, even where no score is defined.

    Args:
        metrics: Names of a run's metrics.
        split: Which.
    """
    return any(name.startswith(f"{split}/{MODES[0]}/") for name in metrics)


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


def direction_sign(metric: str) -> int:
    """1 where more of a metric is better, -1 where less is.

    Raises:
        ValueError: Nothing is known about the metric.
    """
    return 1 if is_maximized(metric) else -1
