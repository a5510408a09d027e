"""Starting and stopping a dashboard."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple


class Server(NamedTuple):
    """A dashboard that runs."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


def start_server(
    environment: dict[str, str], folder: Path, *more: str, before: str = "pass"
) -> Server:
    """``tiledseg dashboard`` on a free port, after some code; returns when it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / f"server-{port}.log"
    code = f"{before}; from tiledseg.__main__ import main; main()"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "dashboard", "--port", str(port), *more],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 180
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
                if answer.status == 200:
                    return Server(address, process, log)
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise AssertionError(log.read_text())


def stop_server(server: Server) -> None:
    """End it politely."""
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
