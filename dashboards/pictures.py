"""The files that the tile routes may serve: those that a page has shown.

A page registers a file and gets an address that nobody can guess. The routes know addresses,
not paths: there is nothing in a request that could lead out of the store.
"""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from dashboards.pyramids import Kind, count_levels
from tiledseg.images.hashing import read_state
from tiledseg.images.reading import image_shape

MOST_PICTURES = 50_000
"""Addresses that are remembered; the longest unused are forgotten beyond it."""

_secret = secrets.token_bytes(32)
_pictures: OrderedDict[str, "Picture"] = OrderedDict()
_guard = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A file that may be served, and what to make of it."""

    path: Path
    kind: Kind
    under: Path | None = None
    """For thumbnails of a mask: the image that it is painted on."""
    against: Path | None = None
    """For thumbnails of a mask: the target whose errors are colored."""
    label: int | None = None
    """Of a mask of several classes, the one that is shown; None shows all."""


def register(picture: Picture) -> str:
    """An address for a picture: 32 characters that do not repeat in another process.

    Raises:
        ImageError: One of its files is missing.
    """
    files = (picture.path, picture.under, picture.against)
    text = f"{picture}|{[read_state(path) for path in files if path is not None]}"
    address = hmac.new(_secret, text.encode(), hashlib.blake2b).hexdigest()[:32]
    with _guard:
        _pictures[address] = picture
        _pictures.move_to_end(address)
        while len(_pictures) > MOST_PICTURES:
            _pictures.popitem(last=False)
    return address


def find(address: str) -> Picture | None:
    """The picture at an address, or None."""
    with _guard:
        return _pictures.get(address)


def forget(folder: Path) -> None:
    """Forget every picture in a folder that is being removed."""
    with _guard:
        for address, picture in list(_pictures.items()):
            if picture.path.is_relative_to(folder):
                del _pictures[address]


@dataclass(frozen=True)
class Size:
    """How large a picture is."""

    height: int
    width: int

    @property
    def levels(self) -> int:
        """Levels of its pyramid."""
        return count_levels(self.height, self.width)


def size_of(path: Path) -> Size:
    """Height and width of a file, from its header.

    Raises:
        ImageError: It is no image.
    """
    return Size(*image_shape(path))
