"""Models in MLflow as a training logs them, without the training."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import mlflow

from tiledseg.prediction.predictor import Predictor
from tiledseg.tracking import checkpoints
from tiledseg.tracking.packaging import PREDICTOR_FOLDER, make_package


@cache
def _package() -> Path:
    """A package without a predictor's files; making one takes a second."""
    place = tempfile.mkdtemp(prefix="tiledseg-package-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    make_package(Path(place) / "package")
    return Path(place) / "package"


def log_model(predictor: Predictor, run_id: str, epoch: int = 1) -> str:
    """Log a network as the best checkpoint of a run; returns the id of the logged model."""
    client = mlflow.MlflowClient()
    with tempfile.TemporaryDirectory() as place:
        package = Path(shutil.copytree(_package(), Path(place) / "package"))
        predictor.save(package / PREDICTOR_FOLDER)
        kept = [epoch, *range(1, epoch)]
        content = {"epoch": epoch, "best": kept, "metrics": [("val_dice", 0.5, 1, epoch)]}
        checkpoints.send_checkpoint(client, run_id, content, package)
    return str(checkpoints.find_checkpoint(client, run_id, epoch).model_id)
