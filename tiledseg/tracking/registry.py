"""Registered models: logging, versions, the two aliases, loading."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.data.scratch import open_scratch
from tiledseg.errors import OutputError, RegistryError, is_disk_full
from tiledseg.tracking.champions import (
    ValidationScore,
    find_champion,
    list_versions,
    promote_if_best,
)
from tiledseg.tracking.checkpoints import find_checkpoint, update_model
from tiledseg.tracking.names import (
    CHAMPION,
    EPOCH_TAG,
    EXPERIMENT_FILE,
    LATEST,
    MODEL,
    REGISTERED_TAG,
)
from tiledseg.tracking.store import connect, explain_answer, store_address, store_errors

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Predictor
    from tiledseg.tiling.execution.runtimes import Runtime


_RUN_URI = re.compile(r"runs:/(?P<run>[^/@]+)(?:/(?P<name>model))?(?:@epoch=(?P<epoch>\d+))?")


@dataclass(frozen=True)
class Registration:
    """A model version that was just made."""

    name: str
    version: str
    is_champion: bool


def send_registration(
    client: mlflow.MlflowClient, run_id: str, content: Mapping[str, Any], files: Path
) -> None:
    """Write what was decided after the training into the best checkpoint, and register it.

    ``latest-trained`` always moves; when ``champion`` does, ``champions`` says.

    Args:
        client: The store.
        run_id: The run.
        content: ``epoch``; ``name`` of the registered model, empty for none; ``score``, the
            fields of a ``ValidationScore``; ``tags`` of model and version.
        files: What replaces files of the model, as they lie in its package.
    """
    name, tags = content["name"], dict(content["tags"])
    model = find_checkpoint(client, run_id, content["epoch"])
    update_model(client, model, files, {**tags, **({REGISTERED_TAG: name} if name else {})})
    if name:
        score = ValidationScore(**content["score"])
        tags[EPOCH_TAG] = str(content["epoch"])
        register(client, name, model.model_id, run_id, score, tags)


def register(
    client: mlflow.MlflowClient,
    name: str,
    model_id: str,
    run_id: str,
    score: ValidationScore,
    tags: Mapping[str, str] | None = None,
) -> Registration:
    """Make a version of a logged model, or bring the one it has up to date; move the aliases."""
    version = find_version(client, name, model_id)
    if version is None:
        version = make_version(client, name, model_id, run_id, score, tags or {})
    else:  # a page has promoted the checkpoint while the training went on
        for key, text in {**(tags or {}), **score.tags()}.items():
            client.set_model_version_tag(name, version, key, text)
    client.set_registered_model_alias(name, LATEST, version)
    return Registration(name, version, promote_if_best(client, name, version))


def make_version(
    client: mlflow.MlflowClient,
    name: str,
    model_id: str,
    run_id: str,
    score: ValidationScore,
    tags: Mapping[str, str],
) -> str:
    """Make a version of a logged model; no alias is moved. Returns its number."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        name,
        _source(model_id),
        run_id,
        tags={**tags, **score.tags()},
        model_id=model_id,  # a database does without; a server refuses the source then
    )
    return str(made.version)


def find_version(client: mlflow.MlflowClient, name: str, model_id: str) -> str | None:
    """The version that a logged model is, or None."""
    made = [item for item in list_versions(client, name) if item.source == _source(model_id)]
    return str(made[0].version) if made else None


def find_registration(
    client: mlflow.MlflowClient, name: str, run_id: str, epoch: int
) -> Registration | None:
    """The version that is the network of a run's epoch, or None."""
    with store_errors():
        version = find_version(client, name, find_checkpoint(client, run_id, epoch).model_id)
        if version is None:
            return None
        return Registration(name, version, find_champion(client, name) == version)


def load_predictor(uri: str, *, runtime: "Runtime" = "keras") -> "Predictor":
    """Load a network from the registry, a run, or a folder.

    Args:
        uri: ``models:/NAME@champion``, ``models:/NAME/3``, ``runs:/ID`` for a run's best epoch,
            ``runs:/ID@epoch=12`` for one that it keeps, a folder that holds model.keras and
            experiment.yaml, or a registered model's name, which means its champion.
        runtime: What computes.

    Raises:
        RegistryError: There is no such model.
        OutputError: There is no room to fetch it.
    """
    from tiledseg.prediction.predictor import Predictor  # noqa: PLC0415  # loads Keras

    if is_model_folder(uri):
        return Predictor.load(Path(uri), runtime=runtime)
    _require_known_scheme(uri)
    address = _address(connect(), uri)
    with open_scratch("model") as place:
        try:
            folder = Path(mlflow.artifacts.download_artifacts(address, dst_path=str(place)))
        except (MlflowException, SQLAlchemyError, OSError, ValueError) as error:
            if is_disk_full(error):
                raise OutputError(
                    f"{place}: there is no room for model {uri!r}; make some, or point TMPDIR to "
                    "a folder that has it"
                ) from error
            raise RegistryError(
                f"model {uri!r} is not in {store_address()}: {explain_answer(error)}; "
                "train it, or name another: models:/NAME@champion, runs:/ID/model or a folder"
            ) from error
        found = sorted(folder.glob(f"artifacts/*/{EXPERIMENT_FILE}"))
        if not found:
            raise RegistryError(
                f"model {uri!r} was not logged by tiledseg: it has no {EXPERIMENT_FILE}; "
                "name another: models:/NAME@champion, runs:/ID/model or a folder"
            )
        return Predictor.load(found[0].parent, runtime=runtime, name=uri)


def _source(model_id: str) -> str:
    return f"models:/{model_id}"


def is_model_folder(uri: str) -> bool:
    """Whether a model is named by its folder, for which no store is asked."""
    try:
        return (Path(uri) / EXPERIMENT_FILE).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _require_known_scheme(uri: str) -> None:
    """Refuse addresses that MLflow would fetch from anywhere.

    Raises:
        RegistryError: It is no name, and of another kind than ``models:/`` and ``runs:/``.
    """
    if ":/" in uri and not uri.startswith(("models:/", "runs:/")):
        raise RegistryError(
            f"model {uri[:200]!r} is no address of a model; name it as models:/NAME@champion, "
            "models:/NAME/3 or runs:/ID, or give its folder"
        )


def _address(client: mlflow.MlflowClient, uri: str) -> str:
    """The address that MLflow knows a model by.

    Raises:
        RegistryError: It is not how the model of a run is named.
        TrackingError: The run keeps no such epoch.
    """
    if ":/" not in uri:
        return f"models:/{uri}@{CHAMPION}"
    if not uri.startswith("runs:"):
        return uri
    match = _RUN_URI.fullmatch(uri)
    if match is None:
        raise RegistryError(
            f"model {uri!r} is not how the network of a run is named; write runs:/RUN_ID for its "
            "best epoch, or runs:/RUN_ID@epoch=12 for one that it keeps"
        )
    if match["epoch"] is None:
        return f"runs:/{match['run']}/{MODEL}"
    with store_errors():
        model = find_checkpoint(client, match["run"], int(match["epoch"]))
    return f"models:/{model.model_id}"
