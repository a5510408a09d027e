"""Plain questions to a tracking server, asked once: MLflow itself asks again and again."""

import requests
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request


def ask_server(uri: str, path: str, seconds: float) -> requests.Response:
    """Get a page of a server with the certificate and the login that MLflow uses.

    Args:
        uri: Of the server.
        path: Of the page, from ``/``.
        seconds: How long the server may take.

    Raises:
        MlflowException: There is no answer, or the variables that name certificate and login
            contradict each other.
    """
    answer = http_request(  # type: ignore[no-untyped-call]
        get_default_host_creds(uri),  # type: ignore[no-untyped-call]
        path,
        "GET",
        max_retries=0,
        timeout=seconds,
        raise_on_status=False,
    )
    assert isinstance(answer, requests.Response)
    return answer
