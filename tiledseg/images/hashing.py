"""Hashes of what image files hold, wherever they lie and whatever they are called."""

import hashlib
from functools import lru_cache
from pathlib import Path

from tiledseg.config.regular_files import open_regular
from tiledseg.errors import ImageError


def hash_content(path: Path) -> str:
    """BLAKE2b of a file's bytes, 32 hexadecimal digits; remembered while the file is unchanged.

    Of a folder, which is how OME-Zarr stores an image: of the names and bytes of all its files.

    Raises:
        ImageError: The file is missing or cannot be read.
    """
    try:
        if path.is_dir():
            return _hash_folder(path)
        state = path.stat()
        return _hash_file(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise ImageError(
            f"{path}: cannot be read ({error.strerror}); check that the file exists and can be read"
        ) from None


@lru_cache(maxsize=2**17)
def _hash_file(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - they key the memory
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _hash_folder(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")):
        if file.is_file():
            name = file.relative_to(path).as_posix()
            state = file.stat()
            content = _hash_file(file, state.st_size, state.st_mtime_ns)
            digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()
