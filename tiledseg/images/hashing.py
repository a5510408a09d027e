"""Hashes of what image files hold, wherever they lie and whatever they are called."""

import hashlib
from functools import lru_cache
from pathlib import Path

from tiledseg.config.regular_files import open_regular
from tiledseg.errors import ImageError

FileState = tuple[int, int, int, int]
"""Size in bytes, nanoseconds of two clocks, and the file system's number of the file."""


def hash_content(path: Path) -> str:
    """BLAKE2b of a file's bytes, 32 hexadecimal digits; remembered while the file is unchanged.

    Of a folder, which is how OME-Zarr stores an image: of the names and bytes of all its files.

    Raises:
        ImageError: The file is missing or cannot be read.
    """
    try:
        if path.is_dir():
            return _hash_folder(path)
        return _hash_file(path, read_state(path))
    except OSError as error:
        raise _cannot_read(path, error) from None


def read_state(path: Path) -> FileState:
    """What changes whenever a file does.

    The time of the last change of the file's record (``st_ctime``) does so too where a copy keeps
    the time of the last change of its content.

    Raises:
        ImageError: The file is missing or cannot be read.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise _cannot_read(path, error) from None
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


@lru_cache(maxsize=2**17)
def _hash_file(path: Path, _state: FileState) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _hash_folder(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")):
        if file.is_file():
            name = file.relative_to(path).as_posix()
            content = _hash_file(file, read_state(file))
            digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def _cannot_read(path: Path, error: OSError) -> ImageError:
    return ImageError(
        f"{path}: cannot be read ({error.strerror}); check that the file exists and can be read"
    )
