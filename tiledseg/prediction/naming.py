"""Finished files get their names: flushed to the disk first, so that a name stands for all of it.

A flush takes longer than a small image, and is nothing but waiting: of many images several are
flushed while the next ones are computed.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tiledseg.data.integrity import ValueRange
from tiledseg.images.atomic import cannot_write, flush, flush_folders, give_names
from tiledseg.prediction.options import PredictionOptions, Targets
from tiledseg.prediction.workplace import Workplace

_FLUSHES = 4
"""Images that are flushed at once."""
_MOST = 16
"""Images that wait for their names; a kill has them predicted again."""


@dataclass(frozen=True)
class PredictedImage:
    """What was found in an image, and how much of the work had been done before."""

    image: Path
    mask: Path
    foreground: float
    """Fraction of pixels."""
    objects: int
    megapixels: float
    seconds: float
    """From opened image to written mask."""
    tiles: int
    resumed: int
    """Tiles that an earlier start had finished."""
    skipped: int
    """Tiles left out."""
    values: ValueRange
    """What the image uses of the range of its values."""


class Unnamed:
    """A predicted image whose files are complete, and have no names yet.

    Args:
        predicted: What is told of it.
        targets: The names.
        options: Whether files may be replaced.
        workplace: Where the files are; nothing else of it is needed any more.
        moves: Each file's place and its name, the picture last.
    """

    def __init__(
        self,
        predicted: PredictedImage,
        targets: Targets,
        options: PredictionOptions,
        workplace: Workplace,
        moves: Sequence[tuple[Path, Path]],
    ) -> None:
        self.predicted = predicted
        self._targets, self._options = targets, options
        self._workplace, self._moves = workplace, moves
        workplace.close()

    @property
    def folders(self) -> set[Path]:
        """Where the names are."""
        return {path.parent for _, path in self._moves}

    def flush(self) -> None:
        """Have the files survive a loss of power.

        Raises:
            OSError: The disk is full, or fails.
        """
        flush([draft for draft, _ in self._moves])

    def name(self) -> PredictedImage:
        """Give the files their names, the picture's last, after ``flush``.

        Raises:
            OutputError: A file exists by now and must not be replaced, or a name cannot be given;
                the picture has none then, but perhaps files that go with it.
        """
        picture = self._targets.picture
        try:
            # The first look was hours ago, and not all that writes files asks for the lock.
            self._targets.check(self.predicted.image, overwrite=self._options.overwrite)
            if len(self._moves) > 1 or picture.is_dir():
                self._set_aside(picture)
            try:
                give_names(self._moves, lasting=False)
            except OSError as error:
                raise cannot_write(Path(error.filename2 or picture), error) from None
        except BaseException:
            self._workplace.leave()
            raise
        self._workplace.remove()
        return self.predicted

    def leave(self) -> None:
        """Give up after an error; what can be gone on with stays."""
        self._workplace.leave()

    def _set_aside(self, picture: Path) -> None:
        """Have a picture that is replaced go with the workplace, before others get their names.

        So a picture that is there is never beside objects or an overlay of another prediction.
        """
        try:
            if os.path.lexists(picture):
                aside = self._workplace.file("replaced")
                give_names([(picture, aside)], lasting=False)
        except OSError as error:
            raise cannot_write(picture, error) from None


def name_at_once(unnamed: Unnamed) -> PredictedImage:
    """Flush and name a single image.

    Raises:
        OutputError: As ``Unnamed.name``, or the disk is full.
    """
    try:
        unnamed.flush()
    except BaseException as error:
        unnamed.leave()
        if isinstance(error, OSError):
            raise cannot_write(unnamed.predicted.mask, error) from None
        raise
    named = unnamed.name()
    flush_folders(unnamed.folders)
    return named


class NamingQueue:
    """Names images in their order while others are predicted; use it as a context manager.

    At the end, and after an error too, all that were added have their names.

    Args:
        on_named: Told about every image that has its name.
    """

    def __init__(self, on_named: Callable[[PredictedImage], None]) -> None:
        self._on_named = on_named
        self._pool = ThreadPoolExecutor(_FLUSHES)
        self._waiting: deque[tuple[Unnamed, Future[None]]] = deque()
        self._folders: set[Path] = set()

    def __enter__(self) -> Self:
        return self

    def add(self, unnamed: Unnamed) -> None:
        """Have an image named, and name those that are flushed.

        Raises:
            OutputError: As ``Unnamed.name``, of any of them, or the disk is full.
        """
        self._waiting.append((unnamed, self._pool.submit(unnamed.flush)))
        while self._waiting and (self._waiting[0][1].done() or len(self._waiting) > _MOST):
            self._name_first()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            while self._waiting:
                self._name_first()
        finally:
            self._pool.shutdown()
            for unnamed, _ in self._waiting:
                unnamed.leave()
            flush_folders(self._folders)

    def _name_first(self) -> None:
        unnamed, flushed = self._waiting[0]
        try:
            flushed.result()
        except OSError as error:
            self._waiting.popleft()
            unnamed.leave()
            raise cannot_write(unnamed.predicted.mask, error) from None
        self._waiting.popleft()
        self._on_named(unnamed.name())
        self._folders |= unnamed.folders
