"""What is finished of a prediction, so that a second start does the rest only."""

import hashlib
import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tiledseg.errors import OutputError
from tiledseg.slides.canvas import cannot_write
from tiledseg.slides.prediction_canvas import PredictionCanvas

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

_KEY, _TILES = "key.json", "tiles"
_PREFIX, _SUFFIX = ".", ".unfinished"


class Workplace:
    """A hidden folder beside the output: probabilities so far, and a journal of finished tiles.

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
        OutputError: The folder cannot be made, or another process works in it.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        key: Mapping[str, Any],
        shape: tuple[int, int],
        outputs: int = 1,
    ) -> None:
        text = json.dumps(key, sort_keys=True, indent=1)
        name = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        self.folder = folder / f"{_PREFIX}{stem}-{name}{_SUFFIX}"
        _mention_others(folder, stem, self.folder, key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._journal = (self.folder / _TILES).open("a+b")
            _lock(self._journal, self.folder)
            (self.folder / _KEY).write_text(text, encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.folder, error) from None
        self.canvas = PredictionCanvas(self.folder, *shape, outputs)

    def finished(self) -> frozenset[int]:
        """Indices of the tiles whose probabilities are there."""
        self._journal.seek(0)
        text = self._journal.read()
        # The last line may have been cut short; nothing may be appended to it.
        whole = text[: text.rfind(b"\n") + 1]
        self._journal.truncate(len(whole))
        return frozenset(int(line) for line in whole.split())

    def finish(self, tiles: Sequence[int]) -> None:
        """Enter tiles that have just been written.

        Raises:
            OutputError: The disk is full, or fails.
        """
        self.canvas.sync()
        try:
            self._journal.write("".join(f"{tile}\n" for tile in tiles).encode())
            self._journal.flush()
        except OSError as error:
            raise cannot_write(self.folder / _TILES, error) from None

    def file(self, name: str) -> Path:
        """A place for a file on its way, on the output's own file system, free of remains."""
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        return path

    def leave(self) -> None:
        """Let go of the folder after a stop; it stays for another start if a tile is finished."""
        with suppress(OSError):  # what could not be written has been told already
            if self.finished():
                self._close()
                return
        self.remove()

    def remove(self) -> None:
        """Remove the folder, whose content is no longer needed."""
        self._close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _close(self) -> None:
        self.canvas.close()
        with suppress(OSError):
            self._journal.close()


def _lock(file: Any, folder: Path) -> None:
    """Hold the folder until this process ends, however it ends; Windows has nothing alike."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{folder}: another process is writing the same output; wait for it, or name another "
            "--output"
        ) from None


def _mention_others(folder: Path, stem: str, own: Path, key: Mapping[str, Any]) -> None:
    """Log unfinished work that is not used, and why."""
    for other in sorted(folder.glob(f"{_PREFIX}{stem}-*{_SUFFIX}")):
        if other == own:
            continue
        try:
            theirs = json.loads((other / _KEY).read_text(encoding="utf-8"))
            changed = [name for name in key if key[name] != theirs.get(name)]
        except (OSError, ValueError, AttributeError):
            changed = ["journal"]
        logger.warning(
            "%s holds unfinished work with another %s; it is not used, remove the folder if "
            "nobody will go on with it",
            other,
            ", ".join(changed),
        )
