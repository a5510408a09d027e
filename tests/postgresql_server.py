"""A PostgreSQL server of one's own, on 127.0.0.1, in a temporary folder."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from skipping import skip_without


def find_binaries():
    """The folder of initdb and pg_ctl, which Debian keeps off the path; skips without them."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
    if newest is None:
        skip_without("PostgreSQL is not installed")
    return newest.parent


def as_server(*command):
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else [*command]


@contextmanager
def postgresql_server(binaries, password=""):
    """Run a fresh server; yields its address.

    Args:
        binaries: Folder of its programs.
        password: Of its superuser, ``postgres``; without one, nobody is asked for a password.
    """
    folder = Path(tempfile.mkdtemp(prefix="tiledseg-pg-"))
    (folder / "password").write_text(password or "-")
    if os.geteuid() == 0:
        for place in (folder, folder / "password"):
            shutil.chown(place, "postgres", "postgres")
    data, log = str(folder / "data"), str(folder / "log")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    initdb = [str(binaries / "initdb"), "-D", data, "-U", "postgres", "--no-sync"]
    initdb += [f"--auth={'scram-sha-256' if password else 'trust'}"]
    initdb += [f"--pwfile={folder / 'password'}"]
    subprocess.run(as_server(*initdb), check=True, capture_output=True, cwd="/")
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [str(binaries / "pg_ctl"), "-D", data, "-w"]
    subprocess.run(
        as_server(*control, "-l", log, "-o", settings, "start"),
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        stop = as_server(*control, "-m", "immediate", "stop")
        subprocess.run(stop, check=True, capture_output=True, cwd="/")
        shutil.rmtree(folder)
