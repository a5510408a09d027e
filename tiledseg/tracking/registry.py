"""Registered models: logging, versions, the two aliases, loading."""

import logging
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.errors import RegistryError
from tiledseg.tracking.checkpoints import find_checkpoint, update_model
from tiledseg.tracking.names import (
    CHAMPION,
    CHAMPION_METRIC,
    EXPERIMENT_FILE,
    FORMAT_TAG,
    LATEST,
    MODEL,
    REGISTERED_TAG,
)
from tiledseg.tracking.store import connect, explain_answer, store_address, store_errors

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Predictor
    from tiledseg.tiling.execution.runtimes import Runtime


_MOST_VERSIONS = 10_000
_RUN_URI = re.compile(r"runs:/(?P<run>[^/@]+)(?:/(?P<name>model))?(?:@epoch=(?P<epoch>\d+))?")

logger = logging.getLogger(__name__)


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

    ``latest-trained`` always moves. ``champion`` moves when the score is better than that of the
    version which holds it; to the best version of all, should another training end at the same
    moment.

    Args:
        client: The store.
        run_id: The run.
        content: ``epoch``; ``name`` of the registered model, empty for none; ``score``, the run's
            ``valid/tiled/dice``; ``tags`` of model and version.
        files: What replaces files of the model, as they lie in its package.
    """
    name, tags = content["name"], dict(content["tags"])
    model = find_checkpoint(client, run_id, content["epoch"])
    update_model(client, model, files, {**tags, **({REGISTERED_TAG: name} if name else {})})
    if name:
        register(client, name, model.model_id, run_id, content["score"], tags)


def register(
    client: mlflow.MlflowClient,
    name: str,
    model_id: str,
    run_id: str,
    score: float,
    tags: Mapping[str, str] | None = None,
) -> Registration:
    """Make a version of a logged model, or find the one it has, and move the aliases."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"models:/{model_id}"
    made = [item for item in _versions(client, name) if item.source == source]
    version = (
        made[0].version
        if made
        else client.create_model_version(
            name,
            source,
            run_id,
            tags={
                **(tags or {}),
                CHAMPION_METRIC: f"{score:.6f}",
                FORMAT_TAG: str(FORMAT_VERSION),
            },
            model_id=model_id,  # a database does without; a server refuses the source then
        ).version
    )
    client.set_registered_model_alias(name, LATEST, version)
    best = champion_score(client, name)
    is_champion = best is None or score > best
    if is_champion:
        is_champion = _promote_best(client, name) == str(version)
    return Registration(name, str(version), is_champion)


def find_registration(client: mlflow.MlflowClient, name: str, run_id: str) -> Registration | None:
    """The version that a run made, or None."""
    with store_errors():
        made = [item for item in _versions(client, name) if item.run_id == run_id]
        if not made:
            return None
        version = max((str(item.version) for item in made), key=int)
        champion = client.get_registered_model(name).aliases.get(CHAMPION)
    return Registration(name, version, str(champion) == version)


def promote(name: str, version: str) -> str | None:
    """Make a version the champion, which only the one with the best validation score may be.

    Args:
        name: The registered model.
        version: Its version.

    Returns:
        The version that was champion before, or None.

    Raises:
        RegistryError: There is no such version, it has no score, or another one is better.
        TrackingError: The store does not answer.
    """
    client = connect()
    with store_errors():
        scores = _scores(client, name)
        held = client.get_registered_model(name).aliases if scores else {}
    if version not in scores:
        raise RegistryError(
            f"version {version} of {name} has no {CHAMPION_METRIC}, so it cannot be champion; "
            f"versions with a score: {', '.join(scores) or 'none'}"
        )
    best = _best(scores)
    if scores[version] < scores[best]:
        raise RegistryError(
            f"version {version} of {name} has {CHAMPION_METRIC} {scores[version]:.4f}, version "
            f"{best} has {scores[best]:.4f}; the champion is the best on validation images, so "
            f"promote version {best}, or train a better one"
        )
    with store_errors():
        client.set_registered_model_alias(name, CHAMPION, version)
    before = held.get(CHAMPION)
    logger.info("%s version %s is champion in place of %s", name, version, before)
    return None if before is None else str(before)


def champion_score(client: mlflow.MlflowClient, name: str) -> float | None:
    """``valid/tiled/dice`` of the champion, or None where there is no champion yet."""
    try:
        held = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise  # a server that stumbles has a champion all the same
        return None
    if CHAMPION not in held:
        return None
    champion = client.get_model_version(name, held[CHAMPION])
    return float(champion.tags.get(CHAMPION_METRIC, "-inf"))


def _scores(client: mlflow.MlflowClient, name: str) -> dict[str, float]:
    """``valid/tiled/dice`` of the versions that have one."""
    return {
        str(item.version): float(item.tags[CHAMPION_METRIC])
        for item in _versions(client, name)
        if CHAMPION_METRIC in item.tags
    }


def _versions(client: mlflow.MlflowClient, name: str) -> list[ModelVersion]:
    quoted = name.replace("'", "\\'")
    return list(client.search_model_versions(f"name = '{quoted}'", max_results=_MOST_VERSIONS))


def _best(scores: Mapping[str, float]) -> str:
    """The best version, the earliest of equals."""
    return max(scores, key=lambda version: (scores[version], -int(version)))


def _promote_best(client: mlflow.MlflowClient, name: str) -> str:
    """Give the best version the alias champion; returns its number.

    Another machine may do the same with what it saw a moment ago. Who looks again after moving
    the alias sees the version that the other one made before it looked.
    """
    held = ""
    while (best := _best(_scores(client, name))) != held:
        client.set_registered_model_alias(name, CHAMPION, best)
        held = best
    return held


def load_predictor(uri: str, *, runtime: "Runtime" = "keras") -> "Predictor":
    """Load a network from the registry, a run, or a folder.

    Args:
        uri: ``models:/NAME@champion``, ``models:/NAME/3``, ``runs:/ID`` for a run's best epoch,
            ``runs:/ID@epoch=12`` for one that it keeps, a folder that holds model.keras and
            experiment.yaml, or a registered model's name, which means its champion.
        runtime: What computes.

    Raises:
        RegistryError: There is no such model.
    """
    from tiledseg.prediction.predictor import Predictor  # noqa: PLC0415  # loads Keras

    if is_model_folder(uri):
        return Predictor.load(Path(uri), runtime=runtime)
    address = _address(connect(), uri)
    with tempfile.TemporaryDirectory(prefix="tiledseg-model-") as place:
        try:
            folder = Path(mlflow.artifacts.download_artifacts(address, dst_path=place))
        except (MlflowException, SQLAlchemyError, OSError) as error:
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


def is_model_folder(uri: str) -> bool:
    """Whether a model is named by its folder, for which no store is asked."""
    return (Path(uri) / EXPERIMENT_FILE).is_file()


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
