"""A run's checkpoints in MLflow: logged models with their step and their metrics.

The best epochs are models that can be served; the last save is one that a training goes on from.
A model is READY when all of its files are there, and what falls out of the best is removed with
its files: MLflow alone would keep them.
"""

import logging
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.entities import (
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
)
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tiledseg.config.regular_files import read_json
from tiledseg.data.scratch import open_scratch
from tiledseg.errors import TrackingError
from tiledseg.images.atomic import give_names
from tiledseg.tracking.names import (
    BATCH_TAG,
    CHECKPOINT,
    CHECKPOINT_TAG,
    EPOCH_TAG,
    MODEL,
    REGISTERED_TAG,
    STATE,
)
from tiledseg.tracking.packaging import PREDICTOR_FOLDER, address_package
from tiledseg.tracking.store import explain_answer
from tiledseg.tracking.store_problems import is_temporary

logger = logging.getLogger(__name__)

_MOST_MODELS = 1000
_kept: set[str] = set()
"""Models that the store does not let this process remove."""


def send_checkpoint(
    client: mlflow.MlflowClient, run_id: str, content: Mapping[str, Any], files: Path
) -> None:
    """Log the network of an epoch; then remove those that are not among the best any more.

    Args:
        client: The store.
        run_id: The run.
        content: ``epoch``; ``best``, the numbers of the best epochs, best first; ``metrics``:
            key, value, moment and step of each; ``is_alone`` where others stay as they are.
        files: The package, see ``packaging``.
    """
    epoch, best = content["epoch"], content["best"]
    name = MODEL if best[0] == epoch else CHECKPOINT
    tags = {CHECKPOINT_TAG: "epoch", EPOCH_TAG: str(epoch)}
    model = _find(client, run_id, tags)
    if model is None:
        model = _send_model(client, run_id, name, tags, files, is_package=True)
    # Also of a model that is there already: what sent it may have been killed right then.
    _link(client, run_id, model, epoch)
    _log_model_metrics(client, run_id, model, content["metrics"])
    for other in [] if content.get("is_alone") else _list_models(client, run_id):
        kind, number = other.tags.get(CHECKPOINT_TAG), int(other.tags.get(EPOCH_TAG, -1))
        if kind == "epoch" and number not in best and not _is_registered(client, other):
            _remove(client, other)


def send_state(
    client: mlflow.MlflowClient, run_id: str, content: Mapping[str, Any], files: Path
) -> None:
    """Log the state that a training goes on from; then remove the one before.

    Args:
        client: The store.
        run_id: The run.
        content: ``epoch`` and ``batch``.
        files: The network with its optimizer, and ``state.json``.
    """
    tags = {
        CHECKPOINT_TAG: "state",
        EPOCH_TAG: str(content["epoch"]),
        BATCH_TAG: str(content["batch"]),
    }
    model = _find(client, run_id, tags)
    if model is None:
        model = _send_model(client, run_id, STATE, tags, files, is_package=False)
    _link(client, run_id, model, content["epoch"])
    for other in _list_models(client, run_id):
        if other.tags.get(CHECKPOINT_TAG) == "state" and other.model_id != model.model_id:
            _remove(client, other)


def list_checkpoints(client: mlflow.MlflowClient, run_id: str) -> dict[int, LoggedModel]:
    """The whole logged models of epochs that a run keeps, by epoch."""
    return {
        int(model.tags[EPOCH_TAG]): model
        for model in _list_models(client, run_id)
        if model.tags.get(CHECKPOINT_TAG) == "epoch" and model.status == LoggedModelStatus.READY
    }


def find_checkpoint(client: mlflow.MlflowClient, run_id: str, epoch: int) -> LoggedModel:
    """The logged model of an epoch.

    Raises:
        TrackingError: The run keeps none of that epoch.
    """
    kept = list_checkpoints(client, run_id)
    if epoch not in kept:
        epochs = ", ".join(map(str, sorted(kept))) or "none"
        raise TrackingError(f"run {run_id} keeps no network of epoch {epoch}; it keeps: {epochs}")
    return kept[epoch]


def find_state(client: mlflow.MlflowClient, run_id: str) -> LoggedModel | None:
    """The newest state that a run can be resumed from, or None."""
    states = [
        model
        for model in _list_models(client, run_id)
        if model.tags.get(CHECKPOINT_TAG) == "state" and model.status == LoggedModelStatus.READY
    ]
    return max(states, key=_progress, default=None)


def fetch_state(client: mlflow.MlflowClient, run_id: str, folder: Path, file: str) -> bool:
    """Bring a run's state here, unless a later one is here already.

    Args:
        client: The store.
        run_id: The run.
        folder: Where the training keeps its state.
        file: Name of the state's own file there.

    Returns:
        Whether there is a state here now.
    """
    here = _local_progress(folder / file)
    state = find_state(client, run_id)
    if state is None or (here is not None and here >= _progress(state)):
        return here is not None
    # What is here goes when the later one is whole: the store may go away in between.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        draft = Path(place) / "state"
        draft.mkdir()
        _repository(state).download_artifacts("", str(draft))
        for epoch, model in list_checkpoints(client, run_id).items():
            network = f"{PREDICTOR_FOLDER}/model.keras"
            if not (draft / f"epoch{epoch}.keras").exists():
                fetched = _repository(model).download_artifacts(network, place)
                give_names([(Path(fetched), draft / f"epoch{epoch}.keras")], lasting=False)
        shutil.rmtree(folder, ignore_errors=True)
        give_names([(draft, folder)])
    logger.info("the state of run %s after epoch %s is here", run_id, state.tags[EPOCH_TAG])
    return True


def read_model_text(model: LoggedModel, name: str) -> str | None:
    """The text of a file of a logged model; None where the model's files are gone."""
    repository = _repository(model)
    with open_scratch("model") as place:
        try:
            path = Path(repository.download_artifacts(name, str(place)))
            return path.read_text(encoding="utf-8")
        except (MlflowException, OSError):
            if repository.list_artifacts(name.rpartition("/")[0]):
                raise  # a store that stumbles has lost nothing
            return None


def update_model(
    client: mlflow.MlflowClient, model: LoggedModel, files: Path, tags: Mapping[str, str]
) -> None:
    """Replace files of a logged model, and set tags."""
    client.log_model_artifacts(model.model_id, str(files))
    client.set_logged_model_tags(model.model_id, dict(tags))


def _is_registered(client: mlflow.MlflowClient, model: LoggedModel) -> bool:
    """Whether a model is registered; asked again, since somebody may have promoted it just now."""
    return REGISTERED_TAG in client.get_logged_model(model.model_id).tags


def _progress(model: LoggedModel) -> tuple[int, int]:
    return int(model.tags[EPOCH_TAG]), int(model.tags[BATCH_TAG])


def _local_progress(path: Path) -> tuple[int, int] | None:
    try:
        state = read_json(path)
        return int(state["epoch"]), int(state["batch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _send_model(
    client: mlflow.MlflowClient,
    run_id: str,
    name: str,
    tags: Mapping[str, str],
    files: Path,
    *,
    is_package: bool,
) -> LoggedModel:
    experiment_id = client.get_run(run_id).info.experiment_id
    model = client.create_logged_model(
        experiment_id, name=name, source_run_id=run_id, tags=dict(tags), model_type="segmentation"
    )
    if is_package:
        address_package(
            files, model_id=model.model_id, run_id=run_id, location=model.artifact_location
        )
    client.log_model_artifacts(model.model_id, str(files))
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _link(client: mlflow.MlflowClient, run_id: str, model: LoggedModel, step: int) -> None:
    """Have the run list the model as an output of a step, once."""
    outputs = client.get_run(run_id).outputs
    linked = {each.model_id for each in outputs.model_outputs} if outputs else set()
    if model.model_id not in linked:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])


def _log_model_metrics(
    client: mlflow.MlflowClient, run_id: str, model: LoggedModel, metrics: list[Any]
) -> None:
    """The same moments as in the run's own curves, where they are one value then."""
    of_model = [
        Metric(key, value, moment, step, model_id=model.model_id, run_id=run_id)
        for key, value, moment, step in metrics
    ]
    client.log_batch(run_id, of_model)


def _find(client: mlflow.MlflowClient, run_id: str, tags: Mapping[str, str]) -> LoggedModel | None:
    """The whole model that has these tags; one that was never finished is removed."""
    found = None
    for model in _list_models(client, run_id):
        if all(model.tags.get(key) == text for key, text in tags.items()):
            if model.status == LoggedModelStatus.READY:
                found = model
            else:
                _remove(client, model)
    return found


def _list_models(client: mlflow.MlflowClient, run_id: str) -> list[LoggedModel]:
    experiment_id = client.get_run(run_id).info.experiment_id
    found: list[LoggedModel] = []
    token = None
    while True:
        page = client.search_logged_models(
            experiment_ids=[experiment_id],
            filter_string=f"source_run_id = '{run_id}'",
            max_results=_MOST_MODELS,
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def _remove(client: mlflow.MlflowClient, model: LoggedModel) -> None:
    """Remove a model: no reader takes it any more, its files go, then its record.

    In this order a kill, or a store that goes away in between, leaves nothing behind: the record
    is found again.
    """
    if model.model_id in _kept:
        return
    client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
    for remove in (
        _repository(model).delete_artifacts,
        partial(client.delete_logged_model, model.model_id),
    ):
        try:
            remove()
        except (MlflowException, NotImplementedError, OSError) as error:
            if is_temporary(error):
                raise
            _note_kept(model, error)


def _note_kept(model: LoggedModel, error: Exception) -> None:
    """Remember what the store does not let us remove, and say so once."""
    if not _kept:
        reason = explain_answer(error) or type(error).__name__
        logger.warning("checkpoints that fall out of the best stay in the store: %s", reason)
    _kept.add(model.model_id)


def _repository(model: LoggedModel) -> Any:
    return get_artifact_repository(model.artifact_location)
