"""Image pyramids: every level on disk, cut into tiles without decoding the picture again.

Level 0 is the file's own pixels. Each level above halves the sides, rounded up, and averages
2 x 2 pixels. Levels lie in the cache as plain arrays and are mapped, never loaded, so a tile
costs its own pixels however large the picture is.

A mask's file holds probabilities. A threshold on averaged probabilities would erase small objects,
so the levels above 0 hold three channels, each averaged: the probability, the fraction of pixels
that are foreground, and the uncertainty.
"""

import hashlib
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dashboards.decoding import take_turn
from dashboards.masks import read_probability
from dashboards.private_folders import find_folder, settle
from tiledseg.config.regular_files import read_json
from tiledseg.data.cache import default_cache_folder
from tiledseg.data.disk_quota import free_space, read_quota, remove_abandoned
from tiledseg.errors import ImageError, OutputError
from tiledseg.images import place_lock
from tiledseg.images.atomic import give_names
from tiledseg.images.hashing import read_state
from tiledseg.images.mapped import map_array, write_array
from tiledseg.images.reading import read_image
from tiledseg.prediction.canvas import FOREGROUND

Kind = Literal["image", "mask"]
TILE = 512
"""Side of a tile, in pixels of its level."""
APRON = 1
"""Pixels of the neighbors around a mask's tile, so that outlines cross tiles."""
MOST_BYTES = read_quota("TILEDSEG_DASHBOARD_CACHE_GB", "8")
"""Of all pyramids on disk; beyond it, those that were opened the longest ago are removed."""

_FORMAT = "pyramid-2"
_UNCERTAINTY = (255 - np.abs(2 * np.arange(256) - 255)).astype(np.uint8)
"""Uncertainty of each stored probability."""


@dataclass(frozen=True)
class Pyramid:
    """A picture at all sizes, on disk."""

    folder: Path
    kind: Kind
    height: int
    width: int

    @property
    def levels(self) -> int:
        """Number of levels; the last is one tile."""
        return count_levels(self.height, self.width)

    def tile(self, level: int, column: int, row: int) -> NDArray[np.uint8]:
        """Cut a tile; a mask's comes with an apron, repeated beyond the picture's border.

        Args:
            level: 0 is full size.
            column: From the left.
            row: From the top.

        Returns:
            (h, w, 3) RGB for an image; for a mask (h, w) at level 0 and (h, w, 3) above.

        Raises:
            ImageError: There is no such tile.
        """
        if not 0 <= level < self.levels:
            raise ImageError(f"level {level} does not exist; use 0 to {self.levels - 1}")
        pixels = self._level(level)
        height, width = pixels.shape[:2]
        top, left = row * TILE, column * TILE
        if not (0 <= top < height and 0 <= left < width):
            raise ImageError(f"tile {column}, {row} does not exist at level {level}")
        bottom, right = min(top + TILE, height), min(left + TILE, width)
        if self.kind == "image":
            return np.ascontiguousarray(pixels[top:bottom, left:right])
        rows = np.clip(np.arange(top - APRON, bottom + APRON), 0, height - 1)
        columns = np.clip(np.arange(left - APRON, right + APRON), 0, width - 1)
        block = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return np.ascontiguousarray(block[rows - rows[0]][:, columns - columns[0]])

    def reduce(self, side: int) -> NDArray[np.uint8]:
        """The picture at the smallest level whose larger side is not below ``side``.

        Returns:
            (h, w, 3) RGB of an image; for a mask the share that is foreground, (h, w), 0 to 255.
        """
        sides = [max(self.height, self.width)]
        while len(sides) < self.levels and -(-sides[-1] // 2) >= side:
            sides.append(-(-sides[-1] // 2))
        pixels = self._level(len(sides) - 1)
        if self.kind == "image":
            return np.array(pixels)
        return np.ascontiguousarray(pixels[..., 1]) if pixels.ndim == 3 else binarize(pixels)

    def _level(self, level: int) -> NDArray[np.uint8]:
        try:
            return map_array(self.folder / _file(level))
        except (OSError, ValueError) as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise ImageError(
                f"{self.folder}: was damaged ({error}), and is removed; load the page again"
            ) from None


def count_levels(height: int, width: int) -> int:
    """Levels until the picture is a single tile."""
    levels = 1
    while max(height, width) > TILE:
        height, width = -(-height // 2), -(-width // 2)
        levels += 1
    return levels


def open_pyramid(
    path: Path, kind: Kind, cache: Path | None = None, *, label: int | None = None
) -> Pyramid:
    """The pyramid of a file, built on the first call and found again afterwards.

    Args:
        path: An image, or a mask or probability of 8 bits.
        kind: Which of the two.
        cache: Folder of pyramids; by default in the package's cache, and for a visitor's image
            beside it.
        label: Of a mask of several classes, the one that is shown; None shows all.

    Raises:
        ImageError: The file cannot be read.
        OutputError: The cache cannot be written.
    """
    home = cache or _home(path)
    folder = _place(path, kind, label, home)
    found = _find(folder, kind)
    if found is None:
        with place_lock.take_turn(folder):
            found = _find(folder, kind)  # somebody else may have just built it
            if found is None:
                with take_turn(urgent=True):
                    _build(path, kind, folder, label)
                found = _find(folder, kind)
        _free_space(home, folder)
    if found is None:
        raise OutputError(
            f"{folder}: a pyramid cannot be read back; point TILEDSEG_CACHE elsewhere"
        )
    return found


def find_pyramid(path: Path, kind: Kind, *, label: int | None = None) -> Pyramid | None:
    """The pyramid of a file if it has been built, as for ``open_pyramid``; else None."""
    return _find(_place(path, kind, label, _home(path)), kind)


def encode_tile(pixels: NDArray[np.uint8], *, exact: bool) -> tuple[bytes, str]:
    """A tile as bytes for the browser, and their media type.

    Args:
        pixels: (h, w), or (h, w, 3) RGB.
        exact: PNG, which gives every value back; otherwise JPEG, which is smaller.
    """
    shown = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    if exact:
        _, data = cv2.imencode(".png", shown, (cv2.IMWRITE_PNG_COMPRESSION, 1))
        return data.tobytes(), "image/png"
    _, data = cv2.imencode(".jpg", shown, (cv2.IMWRITE_JPEG_QUALITY, 90))
    return data.tobytes(), "image/jpeg"


def halve(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean of 2 x 2 pixels; an odd last row or column counts twice."""
    below, right = pixels.shape[0] % 2, pixels.shape[1] % 2
    if below or right:
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def binarize(probability: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 where a pixel is foreground, else 0; of the same shape."""
    return np.asarray(
        cv2.threshold(probability, FOREGROUND - 1, 255, cv2.THRESH_BINARY)[1], np.uint8
    )


def halve_mask(probability: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean probability, foreground and uncertainty of 2 x 2 pixels.

    Args:
        probability: (H, W).

    Returns:
        (ceil(H / 2), ceil(W / 2), 3).
    """
    # Channel by channel: at full size, three at once cost ten times as much.
    uncertainty = np.asarray(cv2.LUT(probability, _UNCERTAINTY), np.uint8)
    channels = [halve(each) for each in (probability, binarize(probability), uncertainty)]
    return np.asarray(cv2.merge(channels), np.uint8)


def _home(path: Path) -> Path:
    return (find_folder(path) or default_cache_folder()) / "pyramids"


def _place(path: Path, kind: Kind, label: int | None, home: Path) -> Path:
    """The folder of a file's pyramid; another one once the file has changed."""
    name = f"{_FORMAT}|{kind}|{path.resolve()}|{read_state(path)}"
    name += "" if label is None else f"|{label}"
    return home / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def _build(path: Path, kind: Kind, folder: Path, label: int | None) -> None:
    pixels = read_image(path) if kind == "image" else read_probability(path, label)
    height, width = pixels.shape[:2]
    draft = folder.with_name(f".{folder.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        draft.mkdir(parents=True)
        for level in range(count_levels(height, width)):
            if level:
                reduced = halve_mask if level == 1 and kind == "mask" else halve
                pixels = reduced(pixels)
            with (draft / _file(level)).open("xb") as file:
                write_array(file, pixels)
        shape = {"height": height, "width": width}
        (draft / "shape.json").write_text(json.dumps(shape), encoding="utf-8")
        give_names([(draft, folder)], lasting=False)
    except OSError as error:
        if _find(folder, kind) is None:  # else another process was quicker
            raise OutputError(
                f"{folder}: cannot be written ({error.strerror}); point TILEDSEG_CACHE at a "
                "folder that can be written and has room"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        settle(folder)


def _free_space(home: Path, keep: Path) -> None:
    folders = list(home.iterdir())
    remove_abandoned(folder for folder in folders if folder.name.startswith("."))
    pyramids = (folder for folder in folders if not folder.name.startswith("."))
    free_space(pyramids, MOST_BYTES, keep=keep)


def _file(level: int) -> str:
    return f"{level}.pixels"


def _find(folder: Path, kind: Kind) -> Pyramid | None:
    try:
        shape = read_json(folder / "shape.json")
        height, width = int(shape["height"]), int(shape["width"])
        os.utime(folder)
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):  # a loss of power cut it short
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return Pyramid(folder, kind, height, width)
