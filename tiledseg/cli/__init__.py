"""Verbs of the command line: read arguments, call one function, show the result.

A verb is listed in the order in which it is imported here.
"""

# isort: off
from tiledseg.cli import train, predict, prepare, check, datasets, architectures, sweep
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
    "import_config",
    "predict",
    "prepare",
    "sweep",
    "train",
]
