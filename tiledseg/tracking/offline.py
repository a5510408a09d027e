"""Runs without a store: all that they log stays on this machine until ``tiledseg sync``.

Such a run has an id of its own, which begins with ``offline-``. It gets one of the store when it
is sent.
"""

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import mlflow

from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.config.regular_files import MOST_SETTINGS_BYTES, read_json, read_text
from tiledseg.errors import TrackingError, one_line
from tiledseg.images.atomic import give_names
from tiledseg.tracking.host_lock import host_lock
from tiledseg.tracking.known_facts import KnownFacts
from tiledseg.tracking.names import EXPERIMENT_FILE, FORMAT_TAG, KIND_TAG, OFFLINE_TAG
from tiledseg.tracking.outbox import Outbox
from tiledseg.tracking.run_end import RunEnd, report_end
from tiledseg.tracking.run_folder import keep_text, run_folder, state_home
from tiledseg.tracking.run_ids import describe_command, find_or_make_experiment
from tiledseg.tracking.tracked_run import TrackedRun

_PREFIX = "offline-"
_DRAFT = "offline.json"


@dataclass(frozen=True)
class _Draft:
    """What a run's record in the store will say.

    Attributes:
        experiment: The MLflow experiment.
        started: When, in milliseconds since 1970.
        tags: By name.
    """

    experiment: str
    started: int
    tags: dict[str, str]


def is_offline(run_id: str) -> bool:
    """Whether an id is that of a run without a store."""
    return run_id.startswith(_PREFIX)


def list_offline() -> list[str]:
    """Ids of the offline runs of this machine."""
    return sorted(place.parent.name for place in state_home().glob(f"{_PREFIX}*/{_DRAFT}"))


@contextmanager
def open_offline_run(
    experiment: Experiment, kind: str, *, resume: str | None = None
) -> Iterator[TrackedRun]:
    """Open a run that logs to this machine alone.

    Args:
        experiment: Its dataset's name is the MLflow experiment's.
        kind: ``train`` or ``evaluate``.
        resume: Id of an offline run to open again.

    Raises:
        TrackingError: There is no such run, it ended well, or another process has it.
        OutputError: Nothing can be kept on this machine.
    """
    run_id = resume or f"{_PREFIX}{uuid.uuid4().hex}"
    if resume:
        _require_folder(resume)
    folder = run_folder(run_id)
    with hold_offline_run(run_id):
        outbox = Outbox(folder / "outbox")
        if not resume:
            _write_draft(folder, experiment, kind)
        if read_offline_status(run_id) == "FINISHED":
            raise TrackingError(
                f"run {run_id} is FINISHED and stays as it is; `tiledseg sync {run_id}` sends it, "
                "and its run in the store can be gone on with"
            )
        outbox.take_back("end")
        known = KnownFacts.collect(outbox.entries())

        def put_end(end: RunEnd) -> None:
            outbox.add("end", asdict(end))

        with report_end(put_end):
            yield TrackedRun(None, run_id, folder, outbox, lambda: None, known)


@contextmanager
def hold_offline_run(run_id: str) -> Iterator[None]:
    """Keep other processes from an offline run.

    Raises:
        TrackingError: Another process has it.
    """
    lock = host_lock(str((state_home() / run_id).resolve()))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise TrackingError(
            f"run {run_id} belongs to another process of this machine; wait until it has ended, "
            "or stop it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def read_offline_experiment(run_id: str) -> Experiment:
    """The settings of an offline run.

    Raises:
        TrackingError: There is no such run, or it ended before its settings were written.
    """
    folder = _require_folder(run_id)
    try:
        text = read_text(folder / EXPERIMENT_FILE, MOST_SETTINGS_BYTES)
    except FileNotFoundError:
        raise TrackingError(
            f"run {run_id} ended before its settings were written; start a new training"
        ) from None
    except (OSError, ValueError) as error:
        raise _describe_unreadable(folder / EXPERIMENT_FILE, error) from None
    return parse_experiment(text, f"run {run_id}")


def read_offline_status(run_id: str) -> str:
    """FINISHED, FAILED or KILLED; RUNNING for one that did not say how it ended."""
    ends = [
        entry.content["status"]
        for entry in Outbox(_require_folder(run_id) / "outbox").entries()
        if entry.kind == "end"
    ]
    return str(ends[-1]) if ends else "RUNNING"


def place_in_store(client: mlflow.MlflowClient, run_id: str) -> str:
    """Give an offline run its record in the store; a second time, it is the same one.

    Args:
        client: The store.
        run_id: The offline run.

    Returns:
        Its id in the store.
    """
    draft = _read_draft(_require_folder(run_id) / _DRAFT)
    experiment_id = find_or_make_experiment(client, draft.experiment)
    found = client.search_runs([experiment_id], f"tags.`{OFFLINE_TAG}` = '{run_id}'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    tags = {**draft.tags, OFFLINE_TAG: run_id}
    return str(client.create_run(experiment_id, draft.started, tags).info.run_id)


def leave_to_store(run_id: str, store_id: str) -> None:
    """Keep what a run that was sent needs to go on under its id in the store."""
    folder, place = state_home() / run_id, state_home() / store_id
    give_names([(folder, place)])
    (place / _DRAFT).unlink()
    shutil.rmtree(place / "model", ignore_errors=True)


def _write_draft(folder: Path, experiment: Experiment, kind: str) -> None:
    tags = {
        "mlflow.source.name": describe_command(),
        FORMAT_TAG: str(FORMAT_VERSION),
        KIND_TAG: kind,
    }
    draft = _Draft(experiment.dataset.name, time.time_ns() // 1_000_000, tags)
    keep_text(folder / _DRAFT, json.dumps(asdict(draft)))


def _read_draft(path: Path) -> _Draft:
    try:
        record = read_json(path)
        return _Draft(str(record["experiment"]), int(record["started"]), dict(record["tags"]))
    except (OSError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise _describe_unreadable(path, error) from None


def _describe_unreadable(path: Path, error: Exception) -> TrackingError:
    return TrackingError(
        f"{path}: cannot be read ({one_line(error)}); put a copy back, or start a new training"
    )


def _require_folder(run_id: str) -> Path:
    folder = state_home() / run_id
    if not (is_offline(run_id) and (folder / _DRAFT).is_file()):
        known = ", ".join(list_offline()) or "none"
        raise TrackingError(
            f"there is no offline run {run_id} in {state_home()} (there are: {known}); "
            "TILEDSEG_STATE names another folder"
        )
    return folder
