"""Storage of studies: an SQLite file, or a PostgreSQL server that many machines share."""

import os
import random
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tiledseg.errors import SweepError, is_disk_full
from tiledseg.tracking.passwords import hide_passwords

HEARTBEAT_SECONDS = 10
"""How often a worker says that its trial lives."""
GRACE_SECONDS = 60
"""How long it may be silent before the trial is taken for dead by other machines."""
_CONNECT_SECONDS = 5
_LOCK_SECONDS = 300.0


def default_storage(tracking_uri: str) -> str:
    """What ``TILEDSEG_STORAGE`` names, or ``sweeps.db`` beside MLflow's database."""
    named = os.environ.get("TILEDSEG_STORAGE")
    if named:
        return named
    prefix = "sqlite:///"
    if tracking_uri.startswith(prefix):
        return prefix + (Path(tracking_uri.removeprefix(prefix)).parent / "sweeps.db").as_posix()
    return prefix + "sweeps.db"


def check_url(text: str) -> URL:
    """The address of a storage, with the driver that we install.

    Raises:
        SweepError: It is no address of SQLite or PostgreSQL.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        shown = hide_passwords(text)
        raise SweepError(_make_address_message(f"--storage {shown!r} is not an address")) from None
    kind = url.get_backend_name()
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise SweepError(
            _make_address_message(f"--storage {kind}: trials cannot be shared safely there")
        )
    if url.database in (None, "", ":memory:"):
        raise SweepError(_make_address_message("--storage in memory is lost when the sweep ends"))
    return url.set(database=str(Path(str(url.database)).absolute()))


def open_storage(
    url: URL, *, heartbeat: int = HEARTBEAT_SECONDS, grace: int = GRACE_SECONDS
) -> Any:
    """Optuna's storage; its tables are made where there are none.

    Raises:
        SweepError: Nobody answers there, or it cannot be written.
    """
    arguments: dict[str, Any] = {"timeout": _LOCK_SECONDS}
    engine: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        arguments = {"connect_timeout": _CONNECT_SECONDS}
        engine = {"pool_pre_ping": True}
    with storage_errors(url), StudyLock(url, "tables"), ignore_experimental_warnings():
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": arguments, **engine},
            heartbeat_interval=heartbeat,
            grace_period=grace,
        )


@contextmanager
def ignore_experimental_warnings() -> Iterator[None]:
    """Heartbeats and retries are experimental in Optuna 5; our tests show when they change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@contextmanager
def storage_errors(url: URL) -> Iterator[None]:
    """Turn what the database and Optuna raise into ``SweepError``, without the password."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
        raise SweepError(explain_failure(url, error)) from error
    except RuntimeError as error:  # tables of another version of Optuna
        if "optuna" not in str(error):
            raise
        raise SweepError(explain_failure(url, error)) from error


def explain_failure(url: URL, error: Exception) -> str:
    """One line for a storage that failed."""
    reason = " ".join(str(error.__cause__ or error).split())
    if url.password:
        reason = reason.replace(str(url.password), "***")
    remedy = "start the server, or change --storage (leave it out to use ./sweeps.db)"
    if is_disk_full(error):
        remedy = "make room on its disk; the same command goes on"
    return (
        f"the storage {url.render_as_string(hide_password=True)} cannot be used: {reason[:300]}; "
        f"{remedy}"
    )


class StudyLock:
    """A lock that one process of all machines holds, and that ends with the process.

    Optuna hands out waiting trials atomically on PostgreSQL but not on SQLite, and counting
    trials before one is begun is atomic nowhere. SQLite: an exclusive transaction on a file
    beside the database. PostgreSQL: an advisory lock of a transaction.

    Args:
        url: The storage.
        name: What is locked, for example a study's name.
    """

    def __init__(self, url: URL, name: str) -> None:
        self._url, self._name = url, name
        self._held: sqlite3.Connection | sqlalchemy.Connection | None = None

    def acquire(self) -> None:
        """Wait for the lock.

        Raises:
            SweepError: It is not free for minutes.
        """
        began = time.monotonic()
        while self._held is None:
            self._held = self._try_to_acquire()
            if self._held is None:
                if time.monotonic() - began > _LOCK_SECONDS:
                    raise SweepError(
                        f"study {self._name}: another process holds the lock for minutes; "
                        "look for a hanging `tiledseg sweep`"
                    )
                time.sleep(random.uniform(0.02, 0.1))

    def release(self) -> None:
        """Release it, if it is held."""
        held, self._held = self._held, None
        if held is not None:
            with suppress(SQLAlchemyError, sqlite3.Error):  # a lost connection is released too
                held.rollback()
                held.close()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _try_to_acquire(self) -> sqlite3.Connection | sqlalchemy.Connection | None:
        if self._url.get_backend_name() == "sqlite":
            return _lock_file(f"{self._url.database}.lock")
        return _lock_on_server(self._url, self._name)


def _lock_file(path: str) -> sqlite3.Connection | None:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" not in str(error):
            raise
        return None
    return connection


def _lock_on_server(url: URL, name: str) -> sqlalchemy.Connection | None:
    engine = sqlalchemy.create_engine(
        url, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS}
    )
    connection = engine.connect()
    try:
        query = sqlalchemy.text("SELECT pg_try_advisory_xact_lock(hashtext(:name))")
        locked = connection.execute(query, {"name": f"tiledseg {name}"}).scalar()
    except BaseException:
        connection.close()
        raise
    if not locked:
        connection.close()
        return None
    return connection


def _make_address_message(fault: str) -> str:
    return f"{fault}; use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
