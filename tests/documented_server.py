"""The server of docs/server.md: PostgreSQL, S3, a login and TLS, by the commands of that page."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import requests
from mlflow_server import MlflowServer, find_free_port

PAGE = Path(__file__).resolve().parents[1] / "docs" / "server.md"
SECRETS = {
    "DATABASE-PASSWORD": "database-secret-1f0a",
    "STUDIES-PASSWORD": "studies-secret-2e1b",
    "S3-KEY": "s3-key-3d2c",
    "S3-SECRET": "s3-secret-4c3d",
    "ADMIN-PASSWORD": "admin-secret-5b4e",
    "FLASK-SECRET": "flask-secret-6a5f",
    "MY-PASSWORD": "ada-secret-7960",
}
_BLOCK = re.compile(r"^## (?P<heading>[^\n]+)$|^```bash\n(?P<commands>.*?)^```$", re.M | re.S)


def read_commands(page: Path = PAGE) -> dict[str, str]:
    """The page's commands for a shell, by the heading they stand under."""
    commands, heading = {}, ""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if found["heading"]:
            heading = found["heading"]
        else:
            commands[heading] = found["commands"]
    return commands


class DocumentedServer:
    """A folder in which the page's commands are run, by steps.

    Args:
        folder: Of the settings, certificate and key.
        database: Address of a PostgreSQL server, as its superuser.
        password: The superuser's.
        files: Address of an S3 store.
    """

    def __init__(self, folder: Path, database: str, password: str, files: str) -> None:
        self.folder, self._files, self._superuser = folder, files, password
        port = find_free_port()
        self._names = {
            "https://s3.example": files,
            "database.example": "127.0.0.1",
            "tracking.example": "localhost",
            "0.0.0.0": "127.0.0.1",
            "5432": str(urlsplit(database).port),
            "5000": str(port),
            "--workers 4": "--workers 1",
            "--timeout-graceful-shutdown 5": "--timeout-graceful-shutdown 1",
            **SECRETS,
        }
        self._commands = {name: self._adapt(text) for name, text in read_commands().items()}
        for step in ("Databases", "Settings", "Bucket", "Certificate"):
            self._run(step)
        self.server = MlflowServer(
            folder,
            ["bash", "-c", f"exec {self._commands['Start']}"],
            address=f"https://localhost:{port}",
            certificate=folder / "server.crt",
            environment=self._environment,
        )
        self.server.start()
        self._run("People")
        self.client = self._read_exports("Every other machine")
        """Variables of a machine that uses the server."""

    def add_person(self, name: str) -> dict[str, str]:
        """Make an account; returns the variables of its login."""
        password = f"{name}-secret-0000"
        self._ask("2.0/mlflow/users/create", username=name, password=password)
        return {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}

    def grant(self, name: str, kind: str, thing: str, right: str) -> None:
        """Give a person a right on an experiment (by its id) or a registered model."""
        self._ask(
            "3.0/mlflow/users/permissions/grant",
            username=name, resource_type=kind, resource_id=thing, permission=right,
        )  # fmt: skip

    def _ask(self, call: str, **content: str) -> None:
        answer = requests.post(
            f"{self.server.address}/api/{call}",
            json=content,
            auth=("admin", SECRETS["ADMIN-PASSWORD"]),
            verify=self.client["MLFLOW_TRACKING_SERVER_CERT_PATH"],
        )
        assert answer.ok, answer.text

    @property
    def _environment(self) -> dict[str, str]:
        """As somebody has it who has installed what the page wants."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLFLOW_", "TILEDSEG_"))
        }
        programs = str(Path(sys.executable).parent)
        return {**kept, "PATH": os.pathsep.join([programs, os.environ["PATH"]])}

    def _adapt(self, text: str) -> str:
        names = "|".join(map(re.escape, self._names))
        return re.sub(rf"(?<![\w-])({names})(?![\w-])", lambda found: self._names[found[0]], text)

    def _run(self, step: str, more: str = "") -> str:
        """Run the commands under a heading; returns what they wrote."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._commands[step] + more],
            cwd=self.folder,
            env={**self._environment, "PGPASSWORD": self._superuser},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
        return done.stdout

    def _read_exports(self, step: str) -> dict[str, str]:
        names = re.findall(r"^export (\w+)=", self._commands[step], re.M)
        values = self._run(step, "\nprintf '%s\\0' " + " ".join(f'"${name}"' for name in names))
        return dict(zip(names, values.split("\0"), strict=False))
