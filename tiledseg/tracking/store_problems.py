"""What is wrong with a store that raised something, and what to do about it."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress

import requests
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import read_mlflow_creds
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from tiledseg.errors import is_disk_full

CERTIFICATE_VARIABLE = "MLFLOW_TRACKING_SERVER_CERT_PATH"
LOGIN_VARIABLES = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
_LOGIN_REFUSED, _FORBIDDEN, _SERVER_ERROR = 401, 403, 500
_STATUS = {
    "UNAUTHENTICATED": _LOGIN_REFUSED,
    "CUSTOMER_UNAUTHORIZED": _LOGIN_REFUSED,
    "PERMISSION_DENIED": _FORBIDDEN,
}
_TRY_AGAIN = {408, 429}
"""Statuses by which a server asks for patience."""
_TEMPORARY = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
_CALL = re.compile(r"/api/\d\.\d/(?P<call>mlflow[\w/-]*)")
_FILES = "mlflow-artifacts"
_NO_CERTIFICATE = "Could not find a suitable TLS CA certificate"
_BAD_CERTIFICATE = re.compile(r"certificate verify failed: (?P<why>.+?)\.? \(_ssl")
_SERVER_ERRORS = re.compile(r"too many (?P<status>5\d\d) error responses")


def describe_problem(error: Exception, address: str, reason: str) -> str:
    """One line: what is wrong, and the remedy.

    Args:
        error: What MLflow, its database or the connection raised.
        address: Of the store, without login.
        reason: What the error says, in one line and without passwords.
    """
    certificate = _describe_certificate(error, address)
    if certificate:
        return certificate
    status = _read_status(error)
    if status == _LOGIN_REFUSED:
        return _describe_login(address)
    if status == _FORBIDDEN:
        return _describe_right(_read_call(error), address)
    if _is_about_files(error):
        return (
            f"the MLflow server {address} cannot keep or give the files of runs (status {status}"
            f"{_read_message(error)}); look at its log: the bucket or folder behind it may be "
            "missing, full or locked"
        )
    if status is not None and status >= _SERVER_ERROR:
        return (
            f"the MLflow server {address} answers with status {status}; look at its log: its "
            "database may be away"
        )
    remedy = "check MLFLOW_TRACKING_URI"
    if "database is locked" in reason:
        remedy = "wait until the process that uses it has ended, or end it, and try again"
    elif is_disk_full(error):
        remedy = "make room on its disk"
    return f"the MLflow store {address} cannot be used: {reason}; {remedy}"


def describe_absence(error: Exception, address: str, reason: str) -> str:
    """One line: why a store takes nothing just now; arguments as those of ``describe_problem``."""
    if _is_about_files(error):
        return describe_problem(error, address, reason)
    fault = "is full" if is_disk_full(error) else "does not answer"
    status = _read_status(error)
    why = reason if status is None else f"status {status}"
    return f"the MLflow store {address} {fault} ({why})"


def name_silence(error: Exception) -> str:
    """What kind of silence it was, where a server could not be reached at all; else empty."""
    for each in list_causes(error):
        if isinstance(each, requests.RequestException):
            is_certificate = isinstance(each, requests.exceptions.SSLError)
            return "" if is_certificate else type(each).__name__
    return ""


def is_temporary(error: Exception) -> bool:
    """Whether a store that raised this may answer, or have room, later."""
    if is_disk_full(error):
        return True
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return (
            error.response.status_code >= _SERVER_ERROR or error.response.status_code in _TRY_AGAIN
        )
    if isinstance(error, MlflowException):
        cause = error.__cause__ or error.__context__
        return error.error_code in _TEMPORARY or isinstance(
            cause, requests.RequestException | OperationalError
        )
    return isinstance(
        error, requests.RequestException | SQLAlchemyError | ConnectionError | TimeoutError
    )


def is_refusal(error: Exception) -> bool:
    """Whether a server refused the user, or could not do what it was asked for."""
    return _read_status(error) is not None


def is_forbidden(error: Exception) -> bool:
    """Whether the user lacks a right on the server."""
    return _read_status(error) == _FORBIDDEN


def is_missing(error: Exception) -> bool:
    """Whether a store has no such run or model.

    A server with a login says of those that they are forbidden, as it does of hidden ones.
    """
    code = error.error_code if isinstance(error, MlflowException) else ""
    return code == "RESOURCE_DOES_NOT_EXIST" or is_forbidden(error)


def list_causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what raised it, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _describe_certificate(error: Exception, address: str) -> str:
    """One line on a server that cannot be spoken with by TLS, and the remedy; empty if it can."""
    said = next((str(each) for each in list_causes(error) if _is_about_tls(each)), "")
    found = _BAD_CERTIFICATE.search(said)
    if found:
        return (
            f"the certificate of the MLflow server {address} is not trusted ({found['why']}); let "
            f"{CERTIFICATE_VARIABLE} name its file, or that of its authority, and call the server "
            "by a name that it is for"
        )
    if _NO_CERTIFICATE in said:
        return (
            f"{CERTIFICATE_VARIABLE}={os.environ.get(CERTIFICATE_VARIABLE, '')!r}: there is no "
            f"such file; let it name the certificate of the MLflow server {address}"
        )
    if said:
        return (
            f"the MLflow server {address} cannot be spoken with by TLS ({said[-120:]}); check "
            "whether MLFLOW_TRACKING_URI has to begin with http:// or https://, and that "
            f"{CERTIFICATE_VARIABLE} names a certificate"
        )
    return ""


def _is_about_tls(error: BaseException) -> bool:
    return isinstance(error, requests.exceptions.SSLError) or (
        isinstance(error, OSError) and _NO_CERTIFICATE in str(error)
    )


def _read_status(error: Exception) -> int | None:
    """The status that a server answered with, where it refused something or failed."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code
    found = _SERVER_ERRORS.search(str(error))
    if found:
        return int(found["status"])
    return _STATUS.get(error.error_code) if isinstance(error, MlflowException) else None


def _is_about_files(error: Exception) -> bool:
    """Whether a server answers, but not where it keeps the files of runs."""
    return _read_status(error) is not None and _read_call(error).startswith(_FILES)


def _read_call(error: Exception) -> str:
    """Which of the server's functions an error is about, or empty."""
    found = _CALL.search(str(error))
    return found["call"] if found else ""


def _read_message(error: Exception) -> str:
    """What the server says beside the status, or empty."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        with suppress(ValueError, KeyError, TypeError):
            return f": {error.response.json()['message']}"[:200]
    return ""


def _describe_login(address: str) -> str:
    user = _read_user()
    if user:
        return (
            f"the MLflow server {address} does not know user {user!r} with this password; check "
            f"{LOGIN_VARIABLES}"
        )
    return f"the MLflow server {address} wants a login; set {LOGIN_VARIABLES}"


def _describe_right(call: str, address: str) -> str:
    who = f"the MLflow server {address} does not let user {_read_user()!r} do this ({call})"
    remedy = "its administrator, or who made the experiment or model, can give the right to"
    if call.endswith("/get"):  # a server with a login does not tell what there is
        return f"{who}: there is no such run or model, or it is hidden; {remedy}"
    return f"{who}; {remedy}"


def _read_user() -> str:
    return read_mlflow_creds().username or ""
