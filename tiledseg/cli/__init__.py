"""Commands: each reads its arguments, calls one function and shows the result.

`tiledseg --help` lists them in the order in which they are imported here.
"""

# isort: off
from tiledseg.cli import (
    train,
    predict,
    prepare,
    check,
    datasets,
    architectures,
    sweep,
    reproduce,
    sync,
    doctor,
)
from tiledseg.cli import import_config
from tiledseg.cli import dashboard
from tiledseg.cli.app import app
# isort: on

__all__ = [
    "app",
    "architectures",
    "check",
    "dashboard",
    "datasets",
    "doctor",
    "import_config",
    "predict",
    "prepare",
    "reproduce",
    "sweep",
    "sync",
    "train",
]
