"""A cache of decoded images and masks, which are mapped into memory.

Entries are keyed by what is in the file, so a moved or copied dataset is not decoded again and
a changed image is never mistaken for its old self. All of them take at most ``TILEDSEG_CACHE_GB``:
beyond it, a cache that is opened removes those that were used the longest ago, but none that was
used within the last hour. The folder may be deleted while nothing uses it.

Entries are not flushed to the disk: what a loss of power leaves of one is too short, which is seen
when it is opened, and it is made again. Of processes that want the same entry one makes it, and the
others wait.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from tiledseg.config import ImageSettings
from tiledseg.data.disk_quota import free_space, read_quota, remove_abandoned
from tiledseg.data.preprocessing import preprocess
from tiledseg.errors import OutputError
from tiledseg.images.atomic import atomic_file
from tiledseg.images.hashing import hash_content
from tiledseg.images.label_files import read_label_map
from tiledseg.images.mapped import map_array, write_array
from tiledseg.images.place_lock import take_turn
from tiledseg.images.reading import read_picture
from tiledseg.masks.classes import foreground

_FORMAT = "tiledseg-pixels-2"
"""Changed whenever reading or pre-processing changes what comes out."""
_KINDS = ("pixels", "range", "count")
"""Suffixes of entries."""
_MOST_GIGABYTES = "64"
_KEPT_SECONDS = 3600.0
"""An entry that was used so recently is never removed."""


class PixelCache:
    """A folder of decoded, pre-processed pixels, shared by threads and processes.

    Args:
        folder: Where entries are kept; by default the environment's ``TILEDSEG_CACHE``, or the
            user's cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_cache_folder() if folder is None else folder
        self._hashes: dict[Path, str] = {}
        self._marked: dict[Path, float] = {}
        self._tidy(read_quota("TILEDSEG_CACHE_GB", _MOST_GIGABYTES))

    def image(self, path: Path, settings: ImageSettings) -> NDArray[np.uint8]:
        """Map the image as the network sees it, decoded on the first call.

        Args:
            path: The image file.
            settings: Stain, color space, channels, gamma and sharpening; the size is not used.

        Returns:
            (H, W, settings.channels), uint8, read-only, mapped from disk: only what is sliced
            is read.

        Raises:
            ImageError: The file cannot be read.
            OutputError: The cache folder cannot be written.
        """
        unused = {"stain_reference"} if settings.stain == "none" else set()
        spec = "image" + settings.model_dump_json(exclude={"size", *unused})
        stored: tuple[int, ...] = (settings.channels,)

        def decode() -> NDArray[np.uint8]:
            picture = read_picture(path, settings.bit_depth)
            self._write_text(self._range_entry(path, settings), f"{picture.largest} {picture.bits}")
            return preprocess(picture.as_rgb(), settings)

        return self._pixels(path, spec, stored, decode)

    def value_range(self, path: Path, settings: ImageSettings) -> tuple[int, int]:
        """Largest value of an image as stored, and the bits of its values.

        Args:
            path: The image file.
            settings: Their ``bit_depth`` stands for the file's own bits.

        Raises:
            ImageError: The file cannot be read.
            OutputError: The cache folder cannot be written.
        """
        entry = self._range_entry(path, settings)
        with suppress(OSError, ValueError):
            largest, bits = map(int, entry.read_text(encoding="ascii").split())
            return largest, bits
        picture = read_picture(path, settings.bit_depth)
        self._write_text(entry, f"{picture.largest} {picture.bits}")
        return picture.largest, picture.bits

    def _range_entry(self, path: Path, settings: ImageSettings) -> Path:
        return self._entry(path, f"range{settings.bit_depth}", "range")

    def mask(self, path: Path, threshold: int | None) -> NDArray[np.uint8]:
        """Map the mask as labels, decoded on the first call.

        Args:
            path: The mask file, as ``encode_mask`` leaves it.
            threshold: ``DatasetSettings.foreground_threshold``: foreground is brighter than
                this, on the 8-bit scale; None for a file of labels.

        Returns:
            (H, W), uint8, 0 or 1, or labels; read-only, mapped from disk.

        Raises:
            ImageError: The file cannot be read.
            OutputError: The cache folder cannot be written.
        """
        spec = "labels" if threshold is None else f"mask{threshold}"
        return self._pixels(path, spec, (), lambda: read_label_map(path, threshold))

    def foreground_pixels(self, path: Path, threshold: int | None) -> int:
        """Count the foreground pixels of a mask, once: the count is kept beside the pixels.

        Args:
            path: The mask file, as for ``mask``.
            threshold: As for ``mask``.

        Raises:
            ImageError: The file cannot be read.
            OutputError: The cache folder cannot be written.
        """
        entry = self._entry(path, f"foreground{threshold}", "count")
        with suppress(OSError, ValueError):
            return int(entry.read_text(encoding="ascii"))
        count = int(np.count_nonzero(foreground(self.mask(path, threshold))))
        self._write_text(entry, str(count))
        return count

    def _pixels(
        self,
        path: Path,
        spec: str,
        stored: tuple[int, ...],
        decode: Callable[[], NDArray[np.uint8]],
    ) -> NDArray[np.uint8]:
        entry = self._entry(path, spec, "pixels")
        pixels = _map_entry(entry, stored)
        if pixels is None:
            with take_turn(entry):
                pixels = _map_entry(entry, stored)  # another process may have just made it
                if pixels is None:
                    self._store(entry, decode())
                    pixels = _map_entry(entry, stored)
        if pixels is None:
            raise self._unusable("an entry cannot be read back")
        self._mark_used(entry)
        return pixels

    def _mark_used(self, entry: Path) -> None:
        """Renew the time of an entry's last use, now and then."""
        now = time.monotonic()
        if now - self._marked.get(entry, -math.inf) > _KEPT_SECONDS / 4:
            self._marked[entry] = now
            with suppress(OSError):  # the folder may be read-only
                if time.time() - entry.stat().st_mtime > _KEPT_SECONDS / 4:
                    os.utime(entry)

    def _tidy(self, most: int) -> None:
        """Remove what killed processes left, and what is beyond the quota."""
        if self.folder.is_dir():
            remove_abandoned(self.folder.glob(".*.tmp"))
            entries = (path for kind in _KINDS for path in self.folder.glob(f"*.{kind}"))
            free_space(entries, most, keep_seconds=_KEPT_SECONDS)

    def _entry(self, path: Path, spec: str, kind: str) -> Path:
        key = "\n".join((_FORMAT, spec, self._hash_content(path)))
        return self.folder / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.{kind}"

    def _hash_content(self, path: Path) -> str:
        """Hash a file, or a folder once: a store has thousands of chunks.

        A store that changes while one cache is in use is therefore not noticed by that cache.
        """
        if not path.is_dir():
            return hash_content(path)
        if path not in self._hashes:
            self._hashes[path] = hash_content(path)
        return self._hashes[path]

    def _write_text(self, entry: Path, text: str) -> None:
        try:
            with atomic_file(entry, lasting=False) as file:
                file.write(text.encode())
        except OutputError as error:
            raise self._unusable(str(error)) from None

    def _store(self, entry: Path, pixels: NDArray[np.uint8]) -> None:
        try:
            with atomic_file(entry, lasting=False) as file:
                write_array(file, pixels)
        except OutputError as error:
            raise self._unusable(str(error)) from None

    def _unusable(self, reason: str) -> OutputError:
        return OutputError(
            f"pixel cache {self.folder} cannot be used: {reason}; point TILEDSEG_CACHE at a "
            "folder that can be written and has room"
        )


def default_cache_folder() -> Path:
    """``TILEDSEG_CACHE``, or the user's cache folder."""
    named = os.environ.get("TILEDSEG_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("tiledseg", appauthor=False))


def _map_entry(entry: Path, stored: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Map an entry, or None where it is missing, cut short or not what it should be."""
    try:
        pixels = map_array(entry)
    except (OSError, ValueError):
        return None
    return pixels if pixels.shape[2:] == stored and pixels.ndim == 2 + len(stored) else None
