"""Plain questions to a tracking server, asked once: MLflow itself asks again and again."""

import requests
from mlflow.utils.credentials import get_default_host_creds


def ask_server(uri: str, path: str, seconds: float) -> requests.Response:
    """Get a page of a server with the certificate and the login that MLflow uses.

    Args:
        uri: Of the server.
        path: Of the page, from ``/``.
        seconds: How long the server may take.

    Raises:
        MlflowException: The variables that name certificate and login contradict each other.
        OSError: There is no answer, or no such certificate.
    """
    ways = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
    return requests.get(
        f"{uri.rstrip('/')}{path}",
        timeout=seconds,
        verify=ways.verify,
        cert=ways.client_cert_path,
        auth=(ways.username, ways.password) if ways.username and ways.password else None,
        headers={"Authorization": f"Bearer {ways.token}"} if ways.token else None,
    )
