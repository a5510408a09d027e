"""A network as a folder that MLflow loads and serves: the predictor, and the code that runs it."""

import importlib.metadata
import shutil
import warnings
import zipfile
from pathlib import Path

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

import tiledseg

SERVING_PACKAGES = (
    "tensorflow", "keras", "mlflow", "opencv-python-headless", "numpy", "pillow", "scipy",
    "pydantic", "pyyaml", "ruamel.yaml", "tifffile", "platformdirs", "filelock",
)  # fmt: skip
PREDICTOR_FOLDER = "artifacts/predictor"
"""Where the predictor's files are in a package."""
_CODE = "artifacts/code/tiledseg.zip"


def make_package(folder: Path) -> None:
    """Make the package of a model whose predictor's files are not there yet.

    Args:
        folder: Must not exist; MLflow's folder of a model, without ``PREDICTOR_FOLDER``.
    """
    package = Path(tiledseg.__file__).parent
    parts = folder.with_name(f"{folder.name}-parts")
    code, predictor = parts / "code", parts / "predictor"  # MLflow keeps these names
    shutil.rmtree(parts, ignore_errors=True)  # of a process that was killed
    for place in (code, predictor):
        place.mkdir(parents=True)
    try:
        _zip_code(package, code / Path(_CODE).name)
        with warnings.catch_warnings():  # the signature is given: hints and examples are not needed
            warnings.simplefilter("ignore", UserWarning)
            mlflow.pyfunc.save_model(
                str(folder),
                python_model=str(package / "tracking" / "serving.py"),
                artifacts={"predictor": str(predictor), "code": str(code)},
                signature=_signature(),
                pip_requirements=[
                    f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES
                ],
            )
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    model = Model.load(str(folder))
    for name, artifact in model.flavors["python_function"]["artifacts"].items():
        artifact["uri"] = name  # where it lay on this machine is nobody's business
    model.save(str(folder / MLMODEL_FILE_NAME))
    (folder / PREDICTOR_FOLDER).mkdir(parents=True, exist_ok=True)


def address_package(folder: Path, *, model_id: str, run_id: str, location: str) -> None:
    """Write into a package which logged model it is."""
    model = Model.load(str(folder))
    model.model_id, model.run_id, model.artifact_path = model_id, run_id, location
    model.save(str(folder / MLMODEL_FILE_NAME))


def _signature() -> ModelSignature:
    """An image of any size, as RGB: the predictor makes of it what the network wants."""
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, 3))]),
        params=ParamSchema(
            [ParamSpec("mode", "string", "tiled"), ParamSpec("output", "string", "mask")]
        ),
    )


def _zip_code(package: Path, path: Path) -> None:
    """The package in one file: a store that answers slowly is asked once, not for each module."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*.py")):
            archive.write(file, Path(package.name) / file.relative_to(package))
