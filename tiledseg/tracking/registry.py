"""Registered models: logging, versions, the two aliases, loading."""

import importlib.metadata
import logging
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec
from sqlalchemy.exc import SQLAlchemyError

import tiledseg
from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.errors import RegistryError
from tiledseg.tracking.names import CHAMPION, CHAMPION_METRIC, FORMAT_TAG, LATEST, MODEL
from tiledseg.tracking.store import connect, reason_of, store_address, store_errors

if TYPE_CHECKING:
    from tiledseg.prediction.predictor import Predictor
    from tiledseg.tiling.execution.runtimes import Runtime


SERVING_PACKAGES = (
    "tensorflow", "keras", "mlflow", "opencv-python-headless", "numpy", "pillow",
    "pydantic", "pyyaml", "ruamel.yaml", "tifffile", "platformdirs",
)  # fmt: skip

_MOST_VERSIONS = 10_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registration:
    """A model version that was just made."""

    name: str
    version: str
    is_champion: bool


def log_model(predictor: "Predictor", folder: Path) -> str:
    """Log a network into the active run; returns the id of the logged model.

    Args:
        predictor: The network and its experiment.
        folder: An existing folder for the files on their way.
    """
    predictor.save(folder)
    channels = 3  # images come as RGB; the predictor makes of them what the network wants
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, channels))]),
        params=ParamSchema(
            [ParamSpec("mode", "string", "tiled"), ParamSpec("output", "string", "mask")]
        ),
    )
    package = Path(tiledseg.__file__).parent
    with warnings.catch_warnings():  # the signature is given, so hints and examples are not needed
        warnings.simplefilter("ignore", UserWarning)
        info = mlflow.pyfunc.log_model(
            name=MODEL,
            python_model=str(package / "tracking" / "serving.py"),
            artifacts={"predictor": str(folder)},
            code_paths=[str(package)],
            signature=signature,
            pip_requirements=[
                f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES
            ],
        )
    return str(info.model_id)


def register(
    client: mlflow.MlflowClient, name: str, model_id: str, run_id: str, score: float
) -> Registration:
    """Make a version of a logged model and move the aliases.

    ``latest-trained`` always moves. ``champion`` moves when ``score`` (the run's
    ``valid/tiled/dice``) is better than that of the version which holds it; to the best version
    of all, should another training end at the same moment.
    """
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name,
        f"models:/{model_id}",
        run_id,
        tags={CHAMPION_METRIC: f"{score:.6f}", FORMAT_TAG: str(FORMAT_VERSION)},
        model_id=model_id,  # a database does without; a server refuses the source then
    ).version
    client.set_registered_model_alias(name, LATEST, version)
    best = champion_score(client, name)
    is_champion = best is None or score > best
    if is_champion:
        is_champion = _promote_best(client, name) == str(version)
    return Registration(name, str(version), is_champion)


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
    quoted = name.replace("'", "\\'")
    found = client.search_model_versions(f"name = '{quoted}'", max_results=_MOST_VERSIONS)
    return {
        str(item.version): float(item.tags[CHAMPION_METRIC])
        for item in found
        if CHAMPION_METRIC in item.tags
    }


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
        uri: ``models:/NAME@champion``, ``models:/NAME/3``, ``runs:/ID/model``, a folder that
            holds model.keras and experiment.yaml, or a registered model's name, which means
            its champion.
        runtime: What computes.

    Raises:
        RegistryError: There is no such model.
    """
    from tiledseg.prediction.predictor import EXPERIMENT_FILE, Predictor  # noqa: PLC0415  # loads Keras

    if (Path(uri) / EXPERIMENT_FILE).is_file():
        return Predictor.load(Path(uri), runtime=runtime)
    address = uri if ":/" in uri else f"models:/{uri}@{CHAMPION}"
    with tempfile.TemporaryDirectory(prefix="tiledseg-model-") as place:
        try:
            folder = Path(mlflow.artifacts.download_artifacts(address, dst_path=place))
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise RegistryError(
                f"model {uri!r} is not in {store_address()}: {reason_of(error)}; "
                "train it, or name another: models:/NAME@champion, runs:/ID/model or a folder"
            ) from error
        found = sorted(folder.glob(f"artifacts/*/{EXPERIMENT_FILE}"))
        if not found:
            raise RegistryError(
                f"model {uri!r} was not logged by tiledseg: it has no {EXPERIMENT_FILE}; "
                "name another: models:/NAME@champion, runs:/ID/model or a folder"
            )
        return Predictor.load(found[0].parent, runtime=runtime)
