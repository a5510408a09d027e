"""A local store whose folder was moved or copied: its records name the place where it was.

MLflow keeps the runs of a project in ``mlflow.db`` and their files in ``mlruns`` beside it, and
writes the full path of every run's files into the database.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tiledseg.errors import TrackingError
from tiledseg.tracking.host_lock import host_lock

_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns that hold full paths."""


@dataclass(frozen=True)
class Move:
    """A local store that is not where its records say.

    Attributes:
        database: The file.
        before: Folder that the records name.
        now: Folder beside the database that has the files.
    """

    database: Path
    before: str
    now: Path

    def __str__(self) -> str:
        return (
            f"{self.database.parent} was moved or copied: its runs' files lie in {self.now}, but "
            f"its records name {self.before}; `tiledseg doctor --repair` corrects the records and "
            "keeps a copy of the database"
        )


def find_move(uri: str) -> Move | None:
    """Whether the files of a local store lie elsewhere than its records say.

    Args:
        uri: Of the store; None is the answer for one that is no SQLite file.
    """
    database = _database_of(uri)
    if database is None or not database.is_file():
        return None
    for number, location in _list_locations(database):
        before = _path_of(location)
        if before is None or before.name != number:
            continue
        now = database.parent / before.parent.name
        if before.parent != now and (now / number).is_dir():
            return Move(database, str(before.parent), now)
    return None


def require_unmoved(uri: str) -> None:
    """Refuse a store whose runs would be looked for, and written, where it was before.

    Raises:
        TrackingError: It was moved or copied.
    """
    move = find_move(uri)
    if move is not None:
        raise TrackingError(str(move))


def repair_move(move: Move) -> Path:
    """Have the records name the place where the files are.

    Args:
        move: What ``find_move`` has found.

    Returns:
        A copy of the database as it was.

    Raises:
        TrackingError: The database cannot be written.
    """
    copy = move.database.with_name(f"{move.database.name}.{time.strftime('%Y%m%d-%H%M%S')}.copy")
    with host_lock(str(move.database)):
        try:
            shutil.copy2(move.database, copy)
            with closing(sqlite3.connect(move.database, timeout=10)) as connection, connection:
                for table, column in _PLACES:
                    for before, now in _replacements(move):
                        connection.execute(
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                            f"WHERE substr({column}, 1, ?) = ?",
                            (now, len(before) + 1, len(before), before),
                        )
        except (OSError, sqlite3.Error) as error:
            raise TrackingError(
                f"{move.database}: its records cannot be corrected ({error}); end what uses it, "
                "and try again"
            ) from error
    return copy


def _replacements(move: Move) -> Iterator[tuple[str, str]]:
    """Beginnings of paths and of addresses, before and now."""
    yield f"{move.before}/", f"{move.now}/"
    yield f"{Path(move.before).as_uri()}/", f"{move.now.as_uri()}/"


def _database_of(uri: str) -> Path | None:
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(urlsplit(uri).path.removeprefix("/")) or ".").absolute()


def _list_locations(database: Path) -> list[tuple[str, str]]:
    """Number and place of the experiments, none where the tables are not there yet."""
    try:
        with closing(sqlite3.connect(database, timeout=1)) as connection:
            found = connection.execute("SELECT experiment_id, artifact_location FROM experiments")
            return [(str(number), str(place)) for number, place in found]
    except sqlite3.Error:
        return []  # MLflow says what is wrong with it


def _path_of(location: str) -> Path | None:
    """The folder that a location names on this machine."""
    if location.startswith("/"):
        return Path(location)
    if location.startswith("file:///"):
        return Path(unquote(urlsplit(location).path))
    return None
