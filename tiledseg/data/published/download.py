"""One file over HTTP: gone on with after it broke off, and checked before it is used.

FILE.part       what has arrived; the next call asks the server for the rest of it
FILE.refused    a whole file with another checksum, kept to look at
FILE            complete, and what was promised
"""

import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tiledseg import __version__
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.atomic import give_names
from tiledseg.images.place_lock import hold

_BLOCK = 2**18
_ATTEMPTS = 4
"""Connections in a row that bring nothing new before it is given up."""
_PAUSE = 1.0
"""Seconds before the next one, longer each time."""
_SECONDS = 30.0
"""Without a byte for so long, a connection counts as lost."""
Progress = Callable[[int, int], None]


def download(url: str, path: Path, sha256: str, progress: Progress | None = None) -> None:
    """Fetch a file, unless it is there and right.

    Args:
        url: Where it is had; http or https.
        path: Where it goes; its folder is made.
        sha256: Its checksum, 64 hexadecimal digits.
        progress: Called with bytes that are here and in all.

    Raises:
        DatasetError: The server cannot be reached, has no such file or breaks off again and
            again, or what it sends has another checksum.
        OutputError: The file cannot be written, there is no room for it, or another process
            fetches it.
    """
    if not _is_here(url, path, sha256):
        with hold(path):
            if not _is_here(url, path, sha256):
                _download(url, path, sha256, progress)


def _is_here(url: str, path: Path, sha256: str) -> bool:
    """Whether the file is there; refuses another one of its name."""
    if not path.is_file():
        return False
    found = _checksum(path)
    if found == sha256:
        return True
    raise DatasetError(
        f"{path} is there, but is not what {url} holds (SHA-256 {found} instead of {sha256}); move "
        "it away and fetch again"
    )


def _download(url: str, path: Path, sha256: str, progress: Progress | None) -> None:
    part = path.with_name(f"{path.name}.part")
    _receive(url, part, progress)
    found = _checksum(part)
    if found != sha256:
        refused = path.with_name(f"{path.name}.refused")
        _rename(part, refused)
        raise DatasetError(
            f"{url}: what arrived has another checksum (SHA-256 {found} instead of {sha256}); it "
            f"is kept as {refused}; fetch again, and if that happens twice the file was changed"
        )
    _rename(part, path)


def _rename(part: Path, path: Path) -> None:
    try:
        give_names([(part, path)])
    except OSError as error:
        raise _unwritable(part, error) from None


def _receive(url: str, part: Path, progress: Progress | None) -> None:
    """Request the rest of the file until it is complete."""
    idle = 0
    while True:
        before = _size(part)
        try:
            if _receive_once(url, part, progress):
                return
            fault = "the connection broke off"
        except urllib.error.HTTPError as error:
            fault = f"the server answers {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 429):
                raise DatasetError(
                    f"{url}: {fault}; look for the file on its page, and say so on the project's "
                    "issue tracker if it has moved"
                ) from None
        except TimeoutError:
            fault = f"nothing came for {_SECONDS:.0f} seconds"
        except (OSError, http.client.HTTPException) as error:  # of the network; files have theirs
            fault = f"cannot be reached ({getattr(error, 'reason', None) or error})"
        idle = 0 if _size(part) > before else idle + 1
        if idle == _ATTEMPTS:
            raise DatasetError(
                f"{url}: {fault}; {_size(part)} bytes are here: the same command goes on from "
                "there once the network is back"
            )
        time.sleep(idle * _PAUSE)


def _receive_once(url: str, part: Path, progress: Progress | None) -> bool:
    """Receive over one connection; True where the file is complete."""
    start = _size(part)
    headers = {"User-Agent": f"tiledseg/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # all of it is here; the checksum has the last word
            return True
        raise
    with answer:
        goes_on = answer.status == 206
        start = start if goes_on else 0
        rest = int(answer.headers.get("Content-Length") or -1)
        total = start + rest if rest >= 0 else 0
        _require_space(part, rest)
        arrived = _append(answer, part, start, total, progress)
    return rest < 0 or arrived == total


def _append(
    answer: http.client.HTTPResponse,
    part: Path,
    start: int,
    total: int,
    progress: Progress | None,
) -> int:
    """Append what is received; returns the bytes on disk afterwards."""
    here = start
    try:
        file = part.open("ab" if start else "wb")
    except OSError as error:
        raise _unwritable(part, error) from None
    with file:
        while block := _next(answer):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise _unwritable(part, error) from None
            here += len(block)
            if progress is not None:
                progress(here, total)
    return here


def _next(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_BLOCK)
    except http.client.IncompleteRead as error:
        return error.partial


def _require_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OutputError(
            f"{part.parent}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; "
            "make room, or set TILEDSEG_DATA to a folder that has it; the same command goes on"
        )


def _unwritable(part: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{part}: cannot be written ({error.strerror}); make room, or set TILEDSEG_DATA to a "
        "folder that has it; the same command goes on"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
