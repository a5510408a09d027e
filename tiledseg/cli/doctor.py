"""The verb that says what the machine, its caches and the store are like."""

import json
import os
import platform
import shutil
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from tiledseg.backend import (
    assume_arithmetic,
    list_arithmetics,
    list_features,
    load_backend,
)
from tiledseg.cli.app import app
from tiledseg.cli.console import show_line
from tiledseg.errors import TrackingError

_PACKAGES = (
    "tiledseg", "tensorflow", "keras", "mlflow", "optuna", "opencv-python-headless", "numpy",
    "streamlit",
)  # fmt: skip


@app.command(epilog="Example: tiledseg doctor --repair")
def doctor(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Close runs whose process is dead as KILLED, and correct the records of a local "
            "store that was moved.",
        ),
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what finished runs keep on this machine.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show versions, devices, disks, caches, the store, and runs whose process is dead."""
    load_backend()
    facts = {**_describe_hardware(), **_describe_runs(repair=repair, clean=clean)}
    if as_json:
        show_line(json.dumps(facts, indent=1))
    else:
        for name, value in facts.items():
            _show(name, value)
    if facts["store"]["problem"]:
        raise typer.Exit(1)


def _describe_hardware() -> dict[str, Any]:
    import keras  # noqa: PLC0415  # after the backend

    from tiledseg.data.cache import default_cache_folder  # noqa: PLC0415
    from tiledseg.tracking.provenance import read_version  # noqa: PLC0415
    from tiledseg.tracking.run_folder import state_home  # noqa: PLC0415

    return {
        "versions": {name: read_version(name) for name in _PACKAGES},
        "machine": {
            "system": platform.platform(terse=True),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
            "processor": ", ".join(list_features()) or "no vector unit that is known",
            "devices": ", ".join(map(str, keras.distribution.list_devices())) or "none listed",
        },
        "arithmetic": {
            "backend": keras.config.backend(),
            "timed_for_each_network": "; ".join(map(str, list_arithmetics())),
            "without_timing": str(assume_arithmetic()),
        },
        "folders": {
            "cache": _describe_folder(default_cache_folder()),
            "state": _describe_folder(state_home()),
        },
    }


def _describe_runs(*, repair: bool, clean: bool) -> dict[str, Any]:
    from tiledseg.tracking import housekeeping  # noqa: PLC0415  # loads TensorFlow

    repaired = housekeeping.repair_store() if repair else ""
    health = housekeeping.measure_store()
    facts: dict[str, Any] = {
        "store": {
            "address": health.address,
            "answers_in_ms": None if health.seconds is None else round(1000 * health.seconds),
            "problem": health.problem,
            "schema": health.schema,
            "repaired": repaired,
        }
    }
    if health.problem:
        return facts
    zombies = housekeeping.find_zombies()
    folders = housekeeping.list_state_folders()
    refusals: dict[str, str] = {}
    for zombie in zombies if repair else []:
        try:
            housekeeping.close_zombie(zombie)
        except TrackingError as error:  # another person's run; others may be closed all the same
            refusals[zombie.run_id] = str(error)
    if clean:
        for folder in folders:
            housekeeping.remove_state_folder(folder)
    return {
        **facts,
        "dead_runs": [
            {
                "run": each.run_id,
                "dataset": each.dataset,
                "owner": each.owner,
                "unsent": each.unsent,
                "closed": repair and each.run_id not in refusals,
                **({"problem": refusals[each.run_id]} if each.run_id in refusals else {}),
            }
            for each in zombies
        ],
        "state_folders": [
            {
                "run": each.run_id,
                "status": each.status,
                "megabytes": round(each.megabytes, 1),
                "unsent": each.unsent,
                "removed": clean and each.is_needless,
            }
            for each in folders
        ],
    }


def _show(name: str, value: Any) -> None:
    rows = value if isinstance(value, list) else [value]
    show_line(f"{name.replace('_', ' ')}{'' if rows else ': none'}")
    for row in rows:
        if isinstance(value, list):
            show_line("  " + "  ".join(f"{key} {text}" for key, text in row.items()))
        else:
            for key, text in row.items():
                if text not in {"", None}:
                    show_line(f"  {key.replace('_', ' '):<24} {text}")


def _describe_folder(folder: Path) -> str:
    """Where it is, what it holds, and how much room its disk has."""
    from tiledseg.data.disk_quota import measure_size  # noqa: PLC0415

    place = folder
    while not place.exists():
        place = place.parent
    held = measure_size(folder) if folder.exists() else 0
    free = shutil.disk_usage(place).free
    return f"{folder}: {held / 1e9:.2f} GB, {free / 1e9:.1f} GB free"
