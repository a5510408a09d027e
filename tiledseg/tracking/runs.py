"""Runs in MLflow: opened, and closed whatever happens.

What a run logs goes into an outbox on this machine first, and is sent from there while the work
goes on (``outbox``, ``sender``). So a store that is away for a while costs nothing, and one that
is away in the end costs a ``tiledseg sync``.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import mlflow

from tiledseg.config.experiment import Experiment, parse_experiment
from tiledseg.config.format_version import require_format
from tiledseg.errors import OutputError, StoreAwayError, TrackingError
from tiledseg.tracking.delivery import deliver
from tiledseg.tracking.known_facts import KnownFacts
from tiledseg.tracking.names import (
    ERROR_TAG,
    EXPERIMENT_FILE,
    FORMAT_TAG,
    REPRODUCES_TAG,
    RESUMED_TAG,
)
from tiledseg.tracking.outbox import Entry, Outbox
from tiledseg.tracking.ownership import LostRunError, Ownership
from tiledseg.tracking.run_end import RunEnd, report_end
from tiledseg.tracking.run_folder import note_store, run_folder
from tiledseg.tracking.run_ids import forget_error, make_or_take_run, point_launcher_to
from tiledseg.tracking.sender import Sender
from tiledseg.tracking.store import connect, store_address, store_errors
from tiledseg.tracking.tracked_run import TrackedRun

PATIENCE_SECONDS = 60.0
"""How long a run that is done waits for a store that does not answer."""

logger = logging.getLogger(__name__)


@contextmanager
def open_run(
    experiment: Experiment,
    kind: str,
    *,
    resume: str | None = None,
    parent: str = "",
    reproduces: str = "",
) -> Iterator[TrackedRun]:
    """Open a run in the MLflow experiment named after the dataset, and close it whatever happens.

    It ends FINISHED, FAILED when an error left the block, or KILLED when the user or the
    system ended the program. Started by ``mlflow run``, the project's own run is used where
    it lies in the right experiment, and points to the real one otherwise.

    Args:
        experiment: Its dataset's name is the MLflow experiment's.
        kind: ``train`` or ``evaluate``, kept as a tag.
        resume: Id of a run to open again.
        parent: Id of the finished run that this one goes on from.
        reproduces: Id of the run that this one repeats.

    Raises:
        TrackingError: The store does not answer, there is no run of that id, or another process
            has it.
        StoreAwayError: All is done but for what the store has not taken yet.
    """
    client = connect()
    name = experiment.dataset.name
    with store_errors(f"run {resume}" if resume else f"experiment {name}"):
        if resume:
            _refuse_finished(client, resume)
        origins = {RESUMED_TAG: parent, REPRODUCES_TAG: reproduces}
        tags = {tag: origin for tag, origin in origins.items() if origin}
        run_id = resume or make_or_take_run(client, name, kind, tags)
        ownership = Ownership(client, run_id)
    folder, outbox = _open_outbox(client, run_id, ownership)
    with Sender(outbox, lambda entry: deliver(client, run_id, entry), ownership.renew) as sender:
        known = _reopen(client, run_id, name, sender, ownership) if resume else KnownFacts()

        def close(end: RunEnd) -> None:
            _put_end(client, run_id, outbox, sender, end)
            _close(run_id, folder, sender, ownership, end.status)

        with report_end(close):
            yield TrackedRun(client, run_id, folder, outbox, sender.check, known)


def _open_outbox(
    client: mlflow.MlflowClient, run_id: str, ownership: Ownership
) -> tuple[Path, Outbox]:
    """The run's folder on this machine, and what it has to send.

    Raises:
        OutputError: Nothing can be kept here; the store is told at once.
    """
    try:
        folder = run_folder(run_id)
        note_store(folder, store_address())
        outbox = Outbox(folder / "outbox")
    except OutputError as error:
        with store_errors():
            client.set_tag(run_id, ERROR_TAG, str(error)[:5000])
            client.set_terminated(run_id, "FAILED")
            ownership.release()
        raise
    return folder, outbox


def _reopen(
    client: mlflow.MlflowClient, run_id: str, name: str, sender: Sender, ownership: Ownership
) -> KnownFacts:
    """Open a run again, when all that an earlier process left here is in the store.

    Raises:
        TrackingError: It has ended well meanwhile, or the store does not answer.
    """
    with store_errors():
        if not sender.drain(PATIENCE_SECONDS):
            raise TrackingError(
                f"the MLflow store {store_address()} does not take what run {run_id} has left to "
                "send; try again when it does"
            )
        try:
            # What was left may be its end, or another process may have ended it just now.
            _refuse_finished(client, run_id)
        except TrackingError:
            ownership.release()
            raise
        forget_error(client, run_id)
        point_launcher_to(client, run_id, name)
        client.update_run(run_id, "RUNNING")
        return KnownFacts.read(client, run_id)


def _refuse_finished(client: mlflow.MlflowClient, run_id: str) -> None:
    if client.get_run(run_id).info.status == "FINISHED":
        raise TrackingError(
            f"run {run_id} is FINISHED and stays as it is; `tiledseg train --resume {run_id} "
            "--set training.epochs=N` goes on with its training in a new run"
        )


def _put_end(
    client: mlflow.MlflowClient,
    run_id: str,
    outbox: Outbox,
    sender: Sender,
    end: RunEnd,
) -> None:
    """Have the store told how the run ended; at once where the disk has no room for a note."""
    content = asdict(end)
    try:
        outbox.add("end", content)
    except OutputError:
        with suppress(TrackingError), store_errors():
            if sender.drain(PATIENCE_SECONDS / 6):
                deliver(client, run_id, Entry(outbox.folder, "end", content))


def _close(run_id: str, folder: Path, sender: Sender, ownership: Ownership, status: str) -> None:
    """Wait until all is sent; what is left stays for ``tiledseg sync``.

    Raises:
        StoreAwayError: The store does not take the end of a run that ended well.
        TrackingError: It refuses something of such a run.
    """
    try:
        is_sent = sender.drain(PATIENCE_SECONDS if status == "FINISHED" else PATIENCE_SECONDS / 6)
    except LostRunError:
        if status == "FINISHED":
            raise
        return
    except TrackingError as error:
        if status == "FINISHED":
            raise TrackingError(
                f"{error}; what is left to send of run {run_id} is kept in {folder}: `tiledseg "
                f"sync {run_id}` sends it"
            ) from error
        return
    if is_sent:
        with store_errors():
            ownership.release()
        shutil.rmtree(folder if status == "FINISHED" else folder / "package", ignore_errors=True)
        return
    left = (
        f"run {run_id} ended {status}, but {sender.away}; what is left to send is kept in "
        f"{folder}: `tiledseg sync {run_id}` sends it"
    )
    if status == "FINISHED":
        raise StoreAwayError(left)
    logger.warning("%s", left)


def read_experiment(run_id: str) -> Experiment:
    """The experiment that a run was made with.

    Raises:
        TrackingError: There is no such run, or it was not made by tiledseg.
        FormatError: Another version of tiledseg made it, in another format.
    """
    client = connect()
    with store_errors(f"run {run_id}"):
        tags = client.get_run(run_id).data.tags
        files = [item.path for item in client.list_artifacts(run_id)]
        if EXPERIMENT_FILE not in files:
            raise TrackingError(
                f"run {run_id} holds no {EXPERIMENT_FILE}: it ended before its settings were "
                "logged, or tiledseg did not make it; start a new training"
            )
        text = mlflow.artifacts.load_text(f"runs:/{run_id}/{EXPERIMENT_FILE}")
    require_format(tags.get(FORMAT_TAG), f"run {run_id}")
    return parse_experiment(text, f"run {run_id}")
