"""Arrays of bytes on disk, mapped and never loaded as a whole.

A file is a header of fixed length, which holds the shape as JSON, and the pixels. NumPy's own
format would do, but for its header, which is Python source: before Python 3.12, parsing that fails
now and then where two threads do it at a time (https://github.com/python/cpython/issues/106905),
and a training opens an array for every crop.
"""

import json
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tiledseg.config.regular_files import open_regular

_MAGIC = b"tiledseg pixels "
_HEADER = 128
"""Bytes before the pixels; the shape is padded with spaces."""


def write_array(file: BinaryIO, pixels: NDArray[np.uint8]) -> None:
    """Write an array so that ``map_array`` finds it.

    Args:
        file: Open for binary writing, at its start.
        pixels: Any shape, uint8.
    """
    header = _MAGIC + json.dumps(pixels.shape).encode()
    file.write(header.ljust(_HEADER - 1) + b"\n")
    file.write(np.ascontiguousarray(pixels).data)


def map_array(path: Path) -> NDArray[np.uint8]:
    """An array of ``write_array``, read-only: only what is sliced is read from disk.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It is no such file, or was cut short.
    """
    with open_regular(path) as file:
        header = file.read(_HEADER)
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        raise ValueError(f"{path}: no array of pixels")
    try:
        shape = tuple(map(int, json.loads(header.removeprefix(_MAGIC))))
    except (TypeError, RecursionError, OverflowError):
        raise ValueError(f"{path}: no array of pixels") from None
    if min(shape, default=0) < 0 or path.stat().st_size != _HEADER + math.prod(shape):
        raise ValueError(f"{path}: not as long as its shape {shape} says")
    return np.memmap(path, np.uint8, "r", _HEADER, shape)
