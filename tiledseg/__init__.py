"""tiledseg: train, compare and serve tiled segmentation of very large images.

The names below are the public face. They are resolved on first use, so that
``import tiledseg`` costs milliseconds and does not load TensorFlow.
"""

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiledseg.config.experiment import Experiment, load_experiment
    from tiledseg.data.dataset import Dataset, load_dataset
    from tiledseg.errors import TiledsegError
    from tiledseg.models import build_model
    from tiledseg.pipeline import TrainingResult, evaluate, train
    from tiledseg.prediction.predictor import Predictor
    from tiledseg.tracking.registry import load_predictor

# TensorFlow leaves oneDNN off on processors without AVX-512 (AMD's up to Zen 3, Intel's desktop
# ones), where convolutions take 1.6 times as long without it. It reads this when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# MLflow tells its makers how it is used unless this is set when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

_HOMES = {
    "Dataset": "tiledseg.data.dataset",
    "Experiment": "tiledseg.config.experiment",
    "Predictor": "tiledseg.prediction.predictor",
    "TiledsegError": "tiledseg.errors",
    "TrainingResult": "tiledseg.pipeline",
    "build_model": "tiledseg.models",
    "evaluate": "tiledseg.pipeline",
    "load_dataset": "tiledseg.data.dataset",
    "load_experiment": "tiledseg.config.experiment",
    "load_predictor": "tiledseg.tracking.registry",
    "train": "tiledseg.pipeline",
}

try:
    __version__ = version("tiledseg")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.1.0"

__all__ = [
    "Dataset",
    "Experiment",
    "Predictor",
    "TiledsegError",
    "TrainingResult",
    "build_model",
    "evaluate",
    "load_dataset",
    "load_experiment",
    "load_predictor",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tiledseg' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
