"""Which MLflow store is used, and whether it answers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from tiledseg.errors import TrackingError

ANSWER_SECONDS = 5.0
"""How long a tracking server may take to say that it is alive."""


def connect() -> mlflow.MlflowClient:
    """A client of the store that ``MLFLOW_TRACKING_URI`` names, by default ./mlflow.db.

    Raises:
        TrackingError: The store does not answer.
    """
    uri = mlflow.get_tracking_uri()
    if uri.startswith(("http://", "https://")):
        _ask_server(uri)
    with store_errors():
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
    return client


def page_command() -> str:
    """How to look at the store: the server's address, or the command that shows the database."""
    uri = mlflow.get_tracking_uri()
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what MLflow and its database raise into ``TrackingError``."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(
            f"the MLflow store {mlflow.get_tracking_uri()} cannot be used: "
            f"{' '.join(str(error).split())[:300]}; check MLFLOW_TRACKING_URI"
        ) from error


def _ask_server(uri: str) -> None:
    """MLflow itself retries for minutes before it says that nobody is there."""
    try:
        answer = requests.get(
            f"{uri.rstrip('/')}/health",
            timeout=ANSWER_SECONDS,
            verify=os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() != "true",
        )
    except requests.RequestException as error:
        raise TrackingError(
            f"the MLflow server {uri} does not answer ({type(error).__name__}); start it, or "
            "change MLFLOW_TRACKING_URI (unset it to use ./mlflow.db)"
        ) from error
    if answer.status_code >= 500:
        raise TrackingError(
            f"the MLflow server {uri} answers with status {answer.status_code}; look at its log"
        )
