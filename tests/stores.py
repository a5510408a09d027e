"""The stores that tiledseg works on: SQLite, MLflow's server, and the server of docs/server.md."""

import logging
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import pytest
import sqlalchemy
from documented_server import SECRETS, DocumentedServer
from mlflow_server import MlflowServer
from postgresql_server import postgresql_server

SQLITE, SERVER, DOCUMENTED = "sqlite", "server", "postgresql-s3-login-tls"
EVERY_STORE = [
    SQLITE,
    pytest.param(SERVER, marks=pytest.mark.soak),
    pytest.param(DOCUMENTED, marks=pytest.mark.soak),
]
"""For fixtures that are run on each of them; servers take seconds to start."""
on_every_store = pytest.mark.parametrize("mlflow_store", EVERY_STORE, indirect=True)
"""Has a test, or all of a file, run on each of them."""


class Store:
    """A tracking store.

    Attributes:
        environment: Variables of a process that uses it.
        secrets: What nobody may ever read in a run or a log.
        server: What answers for it, if something does.
        past_server: What was asked of its S3 store by others than the server.
    """

    environment: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    server: MlflowServer | None = None
    past_server: Sequence[str] = ()

    def visit(self, patch: pytest.MonkeyPatch) -> None:
        """Make it this process' store."""
        for name, value in self.environment.items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(self.environment["MLFLOW_TRACKING_URI"])

    def list_files(self, address: str) -> list[str]:
        """Names of the files that are kept under an artifact address, below it."""
        raise NotImplementedError

    def clear(self) -> None:
        """Remove all runs, models and files."""

    def leave(self) -> None:
        """Answer nobody until ``return_``."""
        if self.server is not None:
            self.server.stop()

    def return_(self) -> None:
        """Answer again, if it does not."""
        if self.server is not None:
            self.server.start_again()


class SqliteStore(Store):
    """A database and files in a folder.

    Args:
        folder: Of both.
        tables: A database without runs.
    """

    def __init__(self, folder: Path, tables: Path) -> None:
        self._database = shutil.copy(tables, folder / "mlflow.db")
        self._lock: sqlite3.Connection | None = None
        self.environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{self._database.as_posix()}"}

    def list_files(self, address: str) -> list[str]:
        return _list_files(Path(urlsplit(address).path))

    def leave(self) -> None:
        self._lock = sqlite3.connect(self._database, isolation_level=None, timeout=60)
        self._lock.execute("BEGIN EXCLUSIVE")

    def return_(self) -> None:
        if self._lock is not None:
            self._lock.rollback()
            self._lock.close()
            self._lock = None


class ServerStore(Store):
    """``mlflow server`` on SQLite, which keeps the files of runs itself.

    Args:
        server: It, running.
    """

    def __init__(self, server: MlflowServer) -> None:
        self.server = server
        self.environment = {"MLFLOW_TRACKING_URI": server.address}
        self._tables = Tables(f"sqlite:///{server.folder / 'mlflow.db'}")

    def list_files(self, address: str) -> list[str]:
        return _list_files(self.server.folder / "mlartifacts" / urlsplit(address).path.strip("/"))

    def clear(self) -> None:
        self._tables.restore()
        shutil.rmtree(self.server.folder / "mlartifacts", ignore_errors=True)


class DocumentedStore(Store):
    """The server of docs/server.md: PostgreSQL, S3, a login and TLS.

    Args:
        documented: It, running.
        database: Address of the PostgreSQL server, as its superuser with the password.
        files: Address of the S3 store.
    """

    def __init__(self, documented: DocumentedServer, database: str, files: str) -> None:
        import boto3

        signed = SignedRequests()
        logging.getLogger("werkzeug").addHandler(signed)
        self.documented, self.past_server = documented, signed.seen
        self.server, self.environment = documented.server, documented.client
        self.secrets = tuple(SECRETS.values())
        self._superuser = sqlalchemy.create_engine(database, isolation_level="AUTOCOMMIT")
        self._tables = Tables(database.rpartition("/")[0] + "/mlflow")
        key, secret = SECRETS["S3-KEY"], SECRETS["S3-SECRET"]
        store = boto3.resource(
            "s3", endpoint_url=files, aws_access_key_id=key, aws_secret_access_key=secret
        )
        self.bucket = store.Bucket("mlflow")

    def list_files(self, address: str) -> list[str]:
        folder = f"files/{urlsplit(address).path.strip('/')}/"
        found = (item.key for item in self.bucket.objects.filter(Prefix=folder))
        return sorted(key.removeprefix(folder) for key in found)

    def clear(self) -> None:
        self._tables.restore()
        self.bucket.objects.delete()

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """Have MLflow's database refuse the server for the block."""
        open_to = "ALTER DATABASE mlflow ALLOW_CONNECTIONS {}"
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mlflow'"
        with self._superuser.connect() as connection:
            connection.exec_driver_sql(open_to.format("false"))
            connection.exec_driver_sql(end)
            try:
                yield
            finally:
                connection.exec_driver_sql(open_to.format("true"))


class SignedRequests(logging.Handler):
    """Those among an S3 store's requests that were signed for somebody else."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if "X-Amz-Signature" in line:
            self.seen.append(line)


class Tables:
    """The tables of a database that a server works on, to be made as they are now.

    Args:
        address: Of the database.
    """

    def __init__(self, address: str) -> None:
        self._engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.pool.NullPool)
        self._known = sqlalchemy.MetaData()
        self._known.reflect(self._engine)
        with self._engine.connect() as connection:
            self._rows: dict[sqlalchemy.Table, list[dict[str, Any]]] = {
                table: [dict(row) for row in connection.execute(table.select()).mappings()]
                for table in self._known.sorted_tables
            }

    def restore(self) -> None:
        """Remove all rows but those that were there at first; numbers begin anew."""
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "postgresql":
                names = ", ".join(f'"{table.name}"' for table in self._known.sorted_tables)
                connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
            else:
                for table in reversed(self._known.sorted_tables):
                    connection.execute(table.delete())
            for table, rows in self._rows.items():
                if rows:
                    connection.execute(table.insert(), rows)


@contextmanager
def start_server(folder: Path, tables: Path) -> Iterator[ServerStore]:
    """Run ``mlflow server`` on SQLite.

    Args:
        folder: Of its database and files.
        tables: A database without runs.
    """
    shutil.copy(tables, folder / "mlflow.db")
    server = MlflowServer(folder)
    server.start()
    try:
        yield ServerStore(server)
    finally:
        server.stop()


@contextmanager
def start_documented_server(folder: Path, binaries: Path) -> Iterator[DocumentedStore]:
    """Run the server of docs/server.md with a PostgreSQL server and an S3 store of its own.

    Args:
        folder: Of its settings.
        binaries: Folder of PostgreSQL's programs.
    """
    from moto.server import ThreadedMotoServer

    password = "superuser-secret-8a7b"
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    host, port = s3.get_host_and_port()
    files = f"http://{host}:{port}"
    with postgresql_server(binaries, password) as database:
        documented = DocumentedServer(folder, database, password, files)
        superuser = database.replace("://postgres", f"+psycopg://postgres:{password}")
        try:
            yield DocumentedStore(documented, superuser, files)
        finally:
            documented.server.stop()
            s3.stop()


def _list_files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
