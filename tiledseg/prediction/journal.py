"""What is finished of a prediction, so that a second start does the rest only."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from glob import escape
from io import FileIO
from pathlib import Path
from typing import Any

from tiledseg.config.regular_files import read_json, require_free_or_regular
from tiledseg.images.atomic import cannot_write
from tiledseg.images.canvas import AnyCanvas, Canvas
from tiledseg.images.names import hidden_name
from tiledseg.prediction.workplace import END, Workplace

logger = logging.getLogger(__name__)

_KEY, _TILES = "key.json", "tiles"
_DIGEST_BYTES = 8
_ENTRIES = re.compile(rb"(?:[0-9]{1,18}\n)*")


class JournaledWorkplace(Workplace):
    """A workplace on disk: probabilities so far, and a journal of finished tiles.

    The folder's name holds a digest of everything that the probabilities depend on, so a
    prediction with another model, other settings or another image has one of its own, and
    neither is taken for the other. A tile is entered only after its pixels are on the disk.

    Args:
        folder: Where the output will be.
        stem: Name of the output.
        key: What the probabilities depend on, as JSON.
        shape: Height and width of the image, in pixels.
        outputs: Probabilities per pixel.

    Raises:
        OutputError: The folder cannot be made, or another process works at the output.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        key: Mapping[str, Any],
        shape: tuple[int, int],
        outputs: int = 1,
    ) -> None:
        self._key = key
        super().__init__(folder, stem, digest_key(key), shape, outputs)
        _mention_others(folder, stem, self.folder, key)

    def _place(self, folder: Path, stem: str) -> Path:
        return folder / hidden_name(stem, f"-{self.identity}{END}")

    def _open(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            for name in (_TILES, _KEY):
                require_free_or_regular(self.folder / name)
            # Without a buffer, so that what could not be written is not tried again unasked.
            self._journal = (self.folder / _TILES).open("a+b", buffering=0)
            self._finished = set(_entries(self._journal))
            (self.folder / _KEY).write_text(_to_text(self._key), encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.folder, error) from None

    def new_canvas(self, name: str) -> AnyCanvas:
        """A canvas on disk; that of an earlier start is taken over as it is."""
        return Canvas(self.folder / name, *self.shape)

    def finished_tiles(self) -> frozenset[int]:
        """Indices of the tiles whose probabilities are there."""
        return frozenset(self._finished)

    def finish(self, tiles: Sequence[int]) -> None:
        """Enter tiles that have just been written.

        Raises:
            OutputError: The disk is full, or fails.
        """
        self.canvas.sync()
        try:
            entries = memoryview("".join(f"{tile}\n" for tile in tiles).encode())
            while entries:
                entries = entries[self._journal.write(entries) :]
        except OSError as error:
            raise cannot_write(self.folder / _TILES, error) from None
        self._finished.update(tiles)

    def leave(self) -> None:
        """Let go of the folder after a stop; it stays for another start if a tile is finished."""
        if self._finished:
            self.close()
            self._lock.release()
        else:
            self.remove()

    def close(self) -> None:
        """Close the files; they stay."""
        super().close()
        with suppress(OSError):
            self._journal.close()


def digest_key(key: Mapping[str, Any]) -> str:
    """A short name for what probabilities depend on."""
    return hashlib.blake2b(_to_text(key).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _to_text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True, indent=1)


def _entries(journal: FileIO) -> Iterator[int]:
    """The tiles that a journal names, up to where a loss of power cut or garbled it.

    What follows is taken out, since nothing may be appended to it.
    """
    journal.seek(0)
    whole = _ENTRIES.match(journal.readall())
    entries = whole.group() if whole else b""
    journal.truncate(len(entries))
    return (int(line) for line in entries.split())


def _mention_others(folder: Path, stem: str, own: Path, key: Mapping[str, Any]) -> None:
    """Log unfinished work that is not used, and why."""
    length = 2 * _DIGEST_BYTES
    start = hidden_name(stem, f"-{'0' * length}{END}")[: -length - len(END)]
    digest = "[0-9a-f]" * length  # other images' names may begin alike
    for other in sorted(folder.glob(f"{escape(start)}{digest}{END}")):
        if other == own:
            continue
        try:
            theirs = read_json(other / _KEY)
            changed = [name for name in key if key[name] != theirs.get(name)]
        except (OSError, ValueError, AttributeError):
            changed = ["journal"]
        logger.warning(
            "%s holds unfinished work with another %s; it is not used, remove the folder if "
            "nobody will go on with it",
            other,
            ", ".join(changed),
        )
