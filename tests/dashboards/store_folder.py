"""A folder with a store: making one, and copying it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("make_store.py")
PLACES = (
    ("runs", "artifact_uri"),
    ("experiments", "artifact_location"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Where MLflow's database says where files lie."""


def environment_of(folder: Path) -> dict[str, str]:
    """Variables that make a process work in a folder alone."""
    return {
        "TILEDSEG_DATA": str(folder / "data"),
        "TILEDSEG_CACHE": str(folder / "cache"),
        "TILEDSEG_STATE": str(folder / "state"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def make_store(folder: Path) -> None:
    """Train, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)],
        cwd=folder,
        env={**os.environ, **environment_of(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "log.txt").write_text(done.stderr[-3000:])
    (folder / ("made" if done.returncode == 0 else "failed")).touch()


def copy_store(source: Path, target: Path) -> None:
    """A copy that may be changed: its database names its own files."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("cache"))
    with sqlite3.connect(target / "mlflow.db") as database:
        for table, column in PLACES:
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(source), str(target))
            )
    database.close()
