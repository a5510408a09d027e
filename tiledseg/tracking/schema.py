"""The form of an MLflow database, which must be the one that the installed MLflow knows."""

import re
from importlib import resources
from urllib.parse import urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.tracking.server import ask_server

_ANSWER_SECONDS = 5.0

_MISMATCH = re.compile(r"schema \(found version (?P<found>\w+), but expected (?P<expected>\w+)\)")


def explain_mismatch(error: Exception, address: str) -> str:
    """What to do about a database of another version of MLflow.

    Args:
        error: What MLflow raised.
        address: Of the store, without its login.

    Returns:
        One line; empty where the error is another one.
    """
    match = _MISMATCH.search(str(error))
    if match is None:
        return ""
    found = match["found"]
    made_by = f"the MLflow store {address} was made by another version of MLflow (schema {found}"
    if found == "None" or not _is_known(found):
        return (
            f"{made_by}, which {mlflow.__version__} does not know); use the version of MLflow that "
            "wrote it, or a newer one than this"
        )
    return (
        f"{made_by}, {mlflow.__version__} needs {match['expected']}); make a copy of the database, "
        f"then run `mlflow db upgrade {_shown(address)}`"
    )


def read_schema() -> str:
    """The form of the store in use: a database's revision, or a server's version of MLflow.

    Returns:
        Empty where it does not say.
    """
    uri = mlflow.get_tracking_uri()
    try:
        if uri.startswith("http"):
            answer = ask_server(uri, "/version", 5.0)
            return f"MLflow {answer.text.strip()}" if answer.ok else ""
        engine = create_engine(uri)
        try:
            with engine.connect() as connection:
                found = connection.execute(text("SELECT version_num FROM alembic_version"))
                return str(found.scalar() or "")
        finally:
            engine.dispose()
    except (OSError, MlflowException, SQLAlchemyError):
        return ""


def _is_known(revision: str) -> bool:
    """Whether the installed MLflow can migrate from a revision."""
    folder = resources.files("mlflow.store.db_migrations") / "versions"
    return any(item.name.startswith(f"{revision}_") for item in folder.iterdir())


def _shown(address: str) -> str:
    """An address for a command line; one whose login is hidden comes from the environment."""
    is_file = urlsplit(address).scheme.startswith("sqlite")
    return address if is_file else '"$MLFLOW_TRACKING_URI"'
