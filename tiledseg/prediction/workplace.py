"""Where the files of a prediction are until all of them are complete."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tiledseg.images.atomic import cannot_write
from tiledseg.images.canvas import AnyCanvas, MemoryCanvas
from tiledseg.images.names import hidden_name
from tiledseg.images.place_lock import PlaceLock
from tiledseg.prediction.canvas import PredictionCanvas

END = ".unfinished"


class Workplace:
    """Probabilities in memory, and a hidden folder beside the output for files on their way.

    Until the work is left or removed, nobody else gets a workplace for the same output: the
    files that both would end in are the same.

    Args:
        folder: Where the output will be.
        stem: Name of the output.
        identity: Differs where the probabilities do; goes into files that hold an identity.
        shape: Height and width of the image, in pixels.
        outputs: Probabilities per pixel.

    Raises:
        OutputError: The folder cannot be made, or another process works at the output.
    """

    def __init__(
        self, folder: Path, stem: str, identity: str, shape: tuple[int, int], outputs: int = 1
    ) -> None:
        self.identity, self.shape = identity, shape
        self.folder = self._place(folder, stem)
        try:
            self._lock = PlaceLock(folder / stem, "wait for it, or name another --output")
        except OSError as error:
            raise cannot_write(self.folder, error) from None
        try:
            self._open()
            self.canvas = PredictionCanvas(self.new_canvas, *shape, outputs)
        except BaseException:
            self._lock.release()
            raise

    def _place(self, folder: Path, stem: str) -> Path:
        return folder / hidden_name(stem, f"-memory{END}")

    def _open(self) -> None:
        """Have the folder, which is made when a file is, free of a killed process' remains."""
        if self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def new_canvas(self, _: str) -> AnyCanvas:
        """A canvas of the image's size."""
        return MemoryCanvas(*self.shape)

    def finished_tiles(self) -> frozenset[int]:
        """Indices of the tiles whose probabilities an earlier start left."""
        return frozenset()

    def finish(self, _: Sequence[int]) -> None:
        """Enter tiles that have just been written; in memory there is no other start."""

    def file(self, name: str) -> Path:
        """A place for a file on its way, on the output's own file system, free of remains.

        Raises:
            OutputError: The folder cannot be made.
        """
        path = self.folder / name
        try:
            self.folder.mkdir(exist_ok=True)
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from None
        return path

    def close(self) -> None:
        """Give the probabilities back to memory; the files on their way stay, and the lock."""
        with suppress(OSError):  # what could not be written has been told already
            self.canvas.close()

    def leave(self) -> None:
        """Let go of the work after a stop."""
        self.remove()

    def remove(self) -> None:
        """Remove the folder, whose content is no longer needed."""
        self.close()
        try:
            self.folder.rmdir()  # often empty, and walking it takes longer than a small mask
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
