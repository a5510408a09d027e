"""Files of a run: read where they lie, or fetched once from the server."""

import re
import uuid
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path

from tiledseg.errors import TrackingError
from tiledseg.tracking.artifact_cache import keep, mark_used, open_fetch_folder, run_cache_folder
from tiledseg.tracking.names import EPOCH_PICTURES_FOLDER, EPOCHS_KEY, MODES
from tiledseg.tracking.store import connect, store_errors

_EPOCH_PICTURE = re.compile(
    rf"{EPOCHS_KEY}[~#%](?P<stem>.+)[~#%](?P<mode>{'|'.join(MODES)})[+%]step[+%](?P<epoch>\d+)[+%]"
)
"""How ``mlflow.log_image`` names the files of the key ``epochs/STEM/MODE``."""
_UNSAFE = re.compile(r"[^\w .()\[\]-]")
"""Characters of stems that the names of files, MLflow's pages or its server trip over."""


class RunFiles:
    """The artifacts of one run; nothing outside their folder is ever handed out.

    Args:
        run_id: The run.
        uri: Of its artifacts; asked of the store if not given.

    Raises:
        TrackingError: There is no such run.
    """

    def __init__(self, run_id: str, uri: str = "") -> None:
        if not uri:
            with store_errors(f"run {run_id}"):
                uri = connect().get_run(run_id).info.artifact_uri
        self.run_id = run_id
        self._local = _local_folder(uri)
        self._root = (self._local or run_cache_folder() / run_id).resolve()

    def names(self, folder: str) -> list[str]:
        """Names of the files directly in a folder of the run; empty if there is none.

        Raises:
            TrackingError: The server does not answer, or the folder leads out of the run.
        """
        place = self._resolve(folder)
        if self._local is not None:
            return sorted(item.name for item in place.iterdir()) if place.is_dir() else []
        with store_errors():
            items = connect().list_artifacts(self.run_id, folder)
        return sorted(item.path.rpartition("/")[2] for item in items if not item.is_dir)

    def path(self, name: str) -> Path:
        """A file of the run, fetched if it lies elsewhere.

        Raises:
            TrackingError: The run has no such file, or the name leads out of the run.
            OutputError: The cache folder cannot be written.
        """
        place = self._resolve(name)
        if self._local is None:
            if place.is_file():
                mark_used(place)
            else:
                self._fetch(name, place)
        if not place.is_file():
            raise TrackingError(
                f"run {self.run_id} has no file {name!r}; it may have been removed, or the run "
                "was made with tracking.log_images: false"
            )
        return place

    def has(self, name: str) -> bool:
        """Whether the run has a file of this name."""
        folder, _, last = name.rpartition("/")
        return last in self.names(folder)

    def epoch_pictures(self) -> dict[tuple[str, str], dict[int, str]]:
        """Epoch-change masks: (stem, mode) to epoch to the file's name, epochs in order."""
        found: dict[tuple[str, str], dict[int, str]] = {}
        for name in self.names(EPOCH_PICTURES_FOLDER):
            picture = parse_epoch_picture(name)
            if picture:
                stem, mode, epoch = picture
                found.setdefault((stem, mode), {})[epoch] = f"{EPOCH_PICTURES_FOLDER}/{name}"
        return {key: dict(sorted(epochs.items())) for key, epochs in found.items()}

    def _fetch(self, name: str, place: Path) -> None:
        """Fetch a file to its place; nothing is there afterwards where the run has none."""
        with open_fetch_folder() as folder, store_errors():
            try:
                file = Path(
                    mlflow.artifacts.download_artifacts(
                        run_id=self.run_id, artifact_path=name, dst_path=str(folder)
                    )
                )
            except MlflowException:  # a broken connection, or there is no such file
                if self.has(name):
                    raise
                return
            if file.is_file():
                keep(file, place)

    def _resolve(self, name: str) -> Path:
        place = (self._root / name).resolve()
        if not place.is_relative_to(self._root):
            raise TrackingError(f"{name!r} leads out of run {self.run_id}; name a file of the run")
        return place


def parse_epoch_picture(name: str) -> tuple[str, str, int] | None:
    """Stem, mode and epoch that a file's name tells; None where it is no epoch-change mask."""
    match = _EPOCH_PICTURE.match(name)
    if not match or not name.endswith(".png"):
        return None
    return unquote(match["stem"].replace("=", "%")), match["mode"], int(match["epoch"])


def epoch_picture_name(stem: str, mode: str, epoch: int, moment: int) -> str:
    """Name of an epoch-change mask among MLflow's pictures, without suffix.

    ``mlflow.log_image`` refuses stems such as ``cell (1)``, and makes another name each time.

    Args:
        stem: Of the image.
        mode: ``tiled`` or ``resized``.
        epoch: From 1.
        moment: Milliseconds since 1970.
    """
    safe = _UNSAFE.sub(lambda found: quote(found[0], safe="").replace("%", "="), stem)
    identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{stem}/{mode}/{epoch}/{moment}")
    return f"{EPOCHS_KEY}~{safe}~{mode}+step+{epoch}+timestamp+{moment}+{identity}"


def _local_folder(uri: str) -> Path | None:
    """The folder that an artifact URI names on this machine, or None for a server's."""
    scheme = urlsplit(uri).scheme  # mlflow-artifacts:/1/ID/artifacts has no host, and no slashes
    if scheme not in {"", "file"} and len(scheme) > 1:  # C: is a drive of Windows
        return None
    return Path(local_file_uri_to_path(uri))  # type: ignore[no-untyped-call]
