"""The checkpoints of a run as a page lists them. Reading them never imports Keras."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import LoggedModel

from tiledseg.errors import TrackingError
from tiledseg.tracking.checkpoints import list_checkpoints, read_model_text
from tiledseg.tracking.names import MODEL, THRESHOLD_TAG
from tiledseg.tracking.packaging import PREDICTOR_FOLDER
from tiledseg.tracking.store import connect, store_address, store_errors

_THRESHOLD_FILE = "threshold.json"
"""As ``prediction.predictor`` has it, which imports Keras."""


@dataclass(frozen=True)
class CheckpointSummary:
    """The network of an epoch that a run keeps in the store.

    Attributes:
        run_id: The run.
        epoch: From 1.
        model_id: Its logged model.
        metrics: Of the epoch, by name.
        is_best: Whether it is the best epoch so far, by ``training.monitor``.
        threshold: The probability from which on a pixel is foreground, from the model's files.
        is_tuned: Whether that was chosen on validation images; else it is 0.5.
    """

    run_id: str
    epoch: int
    model_id: str
    metrics: Mapping[str, float]
    is_best: bool
    threshold: float
    is_tuned: bool


def read_checkpoints(run_id: str) -> list[CheckpointSummary]:
    """The checkpoints of a run that can be used, the last epoch first.

    One whose files are gone is left out.

    Raises:
        TrackingError: There is no such run, or the store does not answer.
    """
    client = connect()
    with store_errors():
        settings = client.get_run(run_id).data.params
        is_tuning = settings.get("training.tune_threshold") == "True"
        kept = list_checkpoints(client, run_id)
        best = max((epoch for epoch, model in kept.items() if model.name == MODEL), default=0)
        return [
            _summarize(run_id, epoch, model, threshold, best, is_tuning)
            for epoch, model in sorted(kept.items(), reverse=True)
            if (threshold := _find_threshold(model)) is not None
        ]


def read_threshold(model_id: str) -> float:
    """The threshold that a logged model is used with.

    Raises:
        TrackingError: The model is gone, or the store does not answer.
    """
    client = connect()
    with store_errors():
        threshold = _find_threshold(client.get_logged_model(model_id))
    if threshold is None:
        raise TrackingError(f"the files of model {model_id} are gone from {store_address()}")
    return threshold


def _find_threshold(model: LoggedModel) -> float | None:
    """The threshold in a model's files; None where they are gone."""
    text = read_model_text(model, f"{PREDICTOR_FOLDER}/{_THRESHOLD_FILE}")
    return None if text is None else float(json.loads(text)["threshold"])


def _summarize(
    run_id: str, epoch: int, model: LoggedModel, threshold: float, best: int, is_tuning: bool
) -> CheckpointSummary:
    return CheckpointSummary(
        run_id=run_id,
        epoch=epoch,
        model_id=str(model.model_id),
        metrics={item.key: float(item.value) for item in model.metrics or []},
        is_best=epoch == best,
        threshold=threshold,
        is_tuned=is_tuning and THRESHOLD_TAG in model.tags,
    )
