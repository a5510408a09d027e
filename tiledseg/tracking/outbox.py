"""What a run has to send to the store: kept on this machine, in order, until it is there.

Each entry is a folder of the outbox, numbered in order, with ``entry.json`` and the files that go
with it. It gets its number when it is complete, and is removed when it was sent: a kill leaves
every entry whole, and an entry that may have been sent already is sent again. Deliveries
(``delivery.py``) are written so that a second one changes nothing.
"""

import json
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiledseg.config.regular_files import read_json
from tiledseg.errors import TrackingError, one_line
from tiledseg.images.atomic import flush, flush_folders, give_names
from tiledseg.tracking.run_folder import cannot_keep

_ENTRY, _FILES, _DRAFT = "entry.json", "files", ".draft-"


@dataclass(frozen=True)
class Entry:
    """One thing to send.

    Attributes:
        place: Its folder in the outbox.
        kind: Which delivery.
        content: What the delivery is told; JSON.
    """

    place: Path
    kind: str
    content: Mapping[str, Any]

    @property
    def files(self) -> Path:
        """Files that go with it."""
        return self.place / _FILES


class Outbox:
    """The entries of one run, oldest first.

    Args:
        folder: Where they are; made if missing.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed = threading.Condition()
        self._sending: Path | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for draft in folder.glob(f"{_DRAFT}*"):  # a killed process was writing it
                shutil.rmtree(draft, ignore_errors=True)
        except OSError as error:
            raise cannot_keep(folder, error) from None
        numbers = [int(place.name) for place in self._places()]
        self._next = max(numbers, default=0) + 1

    @contextmanager
    def put(self, kind: str, content: Mapping[str, Any], replaces: str = "") -> Iterator[Path]:
        """Add an entry; yields the folder for its files.

        Args:
            kind: Which delivery.
            content: What the delivery is told; JSON.
            replaces: Entries of that kind that are not sent yet are taken back: this one says
                all that they would have said.

        Raises:
            OutputError: The disk is full, or fails.
        """
        draft = self.folder / f"{_DRAFT}{secrets.token_hex(6)}"
        try:
            (draft / _FILES).mkdir(parents=True)
            yield draft / _FILES
            text = json.dumps({"kind": kind, "content": content})
            (draft / _ENTRY).write_text(text, encoding="utf-8")
            flush([draft])
            with self.changed:
                place = self.folder / f"{self._next:09d}"
                give_names([(draft, place)], lasting=False)
                self._next += 1
                if replaces:  # once this one is here: a kill must not leave neither
                    self._remove(replaces, but=place)
                self.changed.notify_all()
            flush_folders([self.folder])
        except OSError as error:
            raise cannot_keep(draft, error) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def add(self, kind: str, content: Mapping[str, Any]) -> None:
        """Add an entry without files."""
        with self.put(kind, content):
            pass

    def take(self) -> Entry | None:
        """The oldest entry, which stays until ``done``; None where there is none."""
        with self.changed:
            place = next(iter(self._places()), None)
            self._sending = place
        if place is None:
            return None
        return _read(place)

    def entries(self) -> list[Entry]:
        """All that is not sent yet, oldest first."""
        return [_read(place) for place in self._places()]

    def take_back(self, kind: str) -> None:
        """Remove the entries of a kind that are not being sent."""
        with self.changed:
            self._remove(kind)

    def done(self, entry: Entry) -> None:
        """Remove an entry that was sent."""
        with self.changed:
            gone = self._take_name(entry.place)
            self._sending = None
            self.changed.notify_all()
        shutil.rmtree(gone, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._places())

    def _places(self) -> list[Path]:
        return sorted(place for place in self.folder.iterdir() if place.name.isdigit())

    def _remove(self, kind: str, but: Path | None = None) -> None:
        """Remove the entries of a kind, but for one, and for one that is being sent."""
        for place in self._places():
            if place not in (self._sending, but) and _read(place).kind == kind:
                shutil.rmtree(self._take_name(place), ignore_errors=True)

    def _take_name(self, place: Path) -> Path:
        """Make a draft of an entry before it is removed: a kill must not leave half of it.

        This is not flushed: an entry that a loss of power brings back is sent again, which
        changes nothing.
        """
        gone = self.folder / f"{_DRAFT}{place.name}"
        give_names([(place, gone)], lasting=False)
        return gone


def _read(place: Path) -> Entry:
    path = place / _ENTRY
    try:
        record = read_json(path)
        return Entry(place, str(record["kind"]), dict(record["content"]))
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise TrackingError(
            f"{path}: cannot be read ({one_line(error)}), and was to be sent to the store; put a "
            f"copy back, or move {place} elsewhere to have the rest sent"
        ) from None
