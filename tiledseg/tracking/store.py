"""The MLflow store in use: its address, a client, its errors."""

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from urllib.parse import unquote

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.utils.rest_utils import verify_rest_response
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.errors import TrackingError
from tiledseg.tracking.host_lock import host_lock
from tiledseg.tracking.moved_store import require_unmoved
from tiledseg.tracking.schema import explain_mismatch
from tiledseg.tracking.server import ask_server
from tiledseg.tracking.store_problems import (
    describe_problem,
    is_forbidden,
    is_refusal,
    name_silence,
)

ANSWER_SECONDS = 10.0
"""How long a tracking server may take to answer a command that begins."""
TRUSTED_SECONDS = 2.0
"""How long a store that has answered is not asked again whether it does: a page that reads ten
things asks once."""
_answered: dict[str, float] = {}
_QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_NOT_SERVED = 503
"""What a server answers that leaves files to its clients (``--no-serve-artifacts``)."""
_STATEMENT = re.compile(r"\(raised as a result of Query-invoked autoflush; .*?\) | \[SQL: .*")
"""What SQLAlchemy says of an error beside the reason."""

# MLflow asks a server that is away for four minutes before it says so. Whoever can wait does so
# in ``sender``, which says so at once.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
# With a server, MLflow prints the address of each run that ends, also into the JSON of ``doctor``.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# Files come and go through the server: the bucket behind it is often reached by nobody else, and
# a file of some kilobytes takes one request instead of three.
os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false")
# It writes a traceback of every error of the database, which is told in one line, or tried again.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def connect() -> mlflow.MlflowClient:
    """A client of the store that ``MLFLOW_TRACKING_URI`` names, by default ./mlflow.db.

    Raises:
        TrackingError: The store does not answer, or was moved, or another version of MLflow made
            it.
    """
    uri = mlflow.get_tracking_uri()
    if time.monotonic() - _answered.get(uri, -TRUSTED_SECONDS) >= TRUSTED_SECONDS:
        if _is_server(uri):
            _require_answer(uri)
        else:
            require_unmoved(uri)
            _require_tables(uri)
        _answered[uri] = time.monotonic()
    with store_errors():
        return mlflow.MlflowClient()


def require_files() -> None:
    """Ask a tracking server whether it reaches the files of runs; it may live without.

    Raises:
        TrackingError: It does not.
    """
    uri = mlflow.get_tracking_uri()
    if not _is_server(uri):
        return
    with store_errors():
        answer = ask_server(uri, _FILES, ANSWER_SECONDS)
        if answer.status_code != _NOT_SERVED:
            answer.raise_for_status()


def page_command() -> str:
    """How to open MLflow's pages: the server's address, or the command that serves the database."""
    uri, address = mlflow.get_tracking_uri(), store_address()
    if uri.startswith("http"):
        return address
    shown = address if address == uri else '"$MLFLOW_TRACKING_URI"'
    return f"mlflow ui --backend-store-uri {shown}"


def store_address() -> str:
    """Where the store is, without user and password; for messages and pages."""
    return _split_login(mlflow.get_tracking_uri())[0]


def reason_of(error: Exception) -> str:
    """What MLflow or its database says, in one line and without the store's password."""
    uri = mlflow.get_tracking_uri()
    address, login = _split_login(uri)
    text = " ".join(str(error).split()).replace(uri, address)
    text = _STATEMENT.sub("", text)
    password = login.partition(":")[2]
    for secret in {password, unquote(password)} - {""}:
        text = text.replace(secret, "***")
    return text[:300]


def explain(error: Exception) -> str:
    """What is wrong with the store, and what to do about it, in one line."""
    address = store_address()
    return explain_mismatch(error, address) or describe_problem(error, address, reason_of(error))


def explain_answer(error: Exception) -> str:
    """Why a server refuses or fails; what the store says, where it did neither."""
    return explain(error) if is_refusal(error) else reason_of(error)


@contextmanager
def store_errors(about: str = "") -> Iterator[None]:
    """Turn what MLflow and its database raise into ``TrackingError``.

    Args:
        about: What is asked for; a server with a login does not name what it refuses.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        _answered.clear()
        named = f"{about}: " if about and is_forbidden(error) else ""
        raise TrackingError(f"{named}{explain(error)}") from error


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _require_tables(uri: str) -> None:
    """Look into a database; MLflow makes the tables of a new one then, which two cannot at once."""
    with store_errors(), host_lock(uri) if uri.startswith("sqlite") else nullcontext():
        mlflow.MlflowClient().search_experiments(max_results=1)


def _require_answer(uri: str) -> None:
    """Ask a server for something of its database; MLflow itself would ask for minutes."""
    with store_errors():
        try:
            answer = ask_server(uri, _QUESTION, ANSWER_SECONDS)
        except MlflowException as error:
            silence = name_silence(error)
            if not silence:
                raise
            raise TrackingError(
                f"the MLflow server {store_address()} does not answer ({silence}); start it, or "
                "change MLFLOW_TRACKING_URI (unset it to use ./mlflow.db)"
            ) from error
        if answer.status_code >= 500:
            answer.raise_for_status()
        verify_rest_response(answer, _QUESTION)


def _split_login(uri: str) -> tuple[str, str]:
    """An address without its login, and the login, ``USER:PASSWORD`` or empty."""
    scheme, slashes, rest = uri.partition("://")
    if not slashes or scheme.startswith(("sqlite", "file")):
        return uri, ""  # a path, in which an @ is an @
    login, _, place = rest.rpartition("@")
    return scheme + slashes + place.partition("?")[0], login  # options may hold a password, too
