"""Chunks of Zarr arrays: each is unpacked into as many bytes as its shape says, and no more.

zarr lets a codec unpack a chunk to its end, and compares the result with the chunk's shape
afterwards. Here codecs are handed a buffer of the chunk's size. What is not known to keep to one
is not read.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, TransposeCodec

from tiledseg.images.limits import require_piece

_CHECKSUM = 4
"""Bytes that a codec may add before the compression."""
_MOST_IN_SHARD = 2**20
"""Chunks of a shard, whose index is read whole."""
_SMALLEST, _MOST_SMALL = 64, 2**16
"""Values of a chunk, and how many chunks of fewer are read."""
_SAME_SIZE = ("delta", "shuffle")
"""Filters of version 2 that give as many bytes as they take."""
_METADATA = frozenset({".zarray", ".zattrs", "zarr.json"})
_SPARE = 2**20
"""Bytes that a file may be longer than what it holds."""


def _unpack_lz4(data: bytes, out: int) -> Any:
    return imagecodecs.lz4_decode(data, header=True, out=out)


def _unpack_blosc(data: bytes, out: int) -> Any:
    """Blosc decodes what is left of a chunk that is cut short, and says nothing."""
    if int.from_bytes(data[12:16], "little") != len(data):
        raise ValueError("a chunk is cut short")
    return imagecodecs.blosc_decode(data, out=out)


_UNPACK: dict[str, Callable[..., Any]] = {
    "blosc": _unpack_blosc,
    "bz2": imagecodecs.bz2_decode,
    "gzip": imagecodecs.gzip_decode,
    "lz4": _unpack_lz4,
    "lzma": imagecodecs.lzma_decode,
    "zlib": imagecodecs.zlib_decode,
    "zstd": imagecodecs.zstd_decode,
}
"""By the codec's name; ``out`` is the most bytes that may come out."""


def bound_chunks(array: Any) -> Any:
    """The same array, whose chunks are unpacked within the sizes that they claim.

    Args:
        array: zarr's, of version 2 or 3.

    Raises:
        ValueError: Its values are no numbers, its chunks are too large, or packed in a way that is
            not read; the message follows the store's name.
    """
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "biuf":
        raise ValueError(f"holds {dtype} values; save it with 8 or 16 bits per channel")
    chunk, whole = (math.prod(shape) * dtype.itemsize for shape in (array.chunks, array.shape))
    if chunk > whole:  # zarr unpacks all of it, also what lies beyond the picture
        require_piece(chunk)
    pixels = math.prod(array.chunks)
    if pixels < _SMALLEST and math.prod(array.shape) > _MOST_SMALL * pixels:
        raise ValueError(f"is stored in chunks of {pixels} pixels; save it in chunks of 512 x 512")
    if array.shards is not None:
        inside = math.prod(array.shards) // max(1, math.prod(array.chunks))
        if inside > _MOST_IN_SHARD:
            raise ValueError(f"has {inside} chunks in a shard, at most {_MOST_IN_SHARD} are read")
    metadata = array.metadata
    if metadata.zarr_format == 2:
        compressor = metadata.compressor and _of_version_2(array, dtype)
        for name in (_id_of(item) for item in metadata.filters or ()):
            if name not in _SAME_SIZE:
                raise _unknown(name)
        bound = dataclasses.replace(metadata, compressor=compressor)
    else:
        bound = dataclasses.replace(metadata, codecs=_of_version_3(metadata.codecs))
    return zarr.Array(zarr.AsyncArray(bound, array.store_path))


def count_chunks(folder: Path) -> int:
    """Chunks of an array that were ever written."""
    return sum(item.is_file() and item.name not in _METADATA for item in folder.rglob("*"))


def require_files(path: Path, array: Any) -> None:
    """Refuse chunks that are no files, are far too long, or are cut short.

    Source of Blosc's header: C-Blosc's README_CHUNK_FORMAT, cbytes at byte 12, little-endian.

    Args:
        path: The store.
        array: One of its arrays.

    Raises:
        ValueError: A chunk is such; the message follows the store's name.
    """
    most = 2 * math.prod(array.shards or array.chunks) * np.dtype(array.dtype).itemsize + _SPARE
    is_blosc = _is_blosc(array)
    for chunk in (path / array.path).rglob("*"):
        if chunk.is_dir():
            continue
        if not chunk.is_file():
            raise ValueError(f"is a damaged Zarr store ({chunk.name} is no file)")
        size = chunk.stat().st_size
        if size > most:
            raise ValueError(
                f"is a damaged Zarr store (its chunk {chunk.name} has {size} bytes, more than "
                "its pixels take)"
            )
        if is_blosc and chunk.name[0].isdigit():
            with chunk.open("rb") as file:
                header = file.read(16)
            if int.from_bytes(header[12:], "little") != size:
                raise ValueError(f"is a damaged Zarr store (its chunk {chunk.name} is cut short)")


@dataclasses.dataclass(frozen=True)
class _BoundCodec(BytesBytesCodec):
    """A codec of version 3 that unpacks into a buffer of the chunk's size."""

    name: str
    is_fixed_size = False

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        size = math.prod(chunk_spec.shape) * chunk_spec.dtype.item_size
        unpacked = _UNPACK[self.name](chunk_bytes.to_bytes(), out=size + _CHECKSUM)
        return chunk_spec.prototype.buffer.from_bytes(bytes(unpacked))

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name}

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: Any) -> int:
        return input_byte_length


class _BoundCompressor:
    """A compressor of version 2 that unpacks into a buffer of the chunk's size.

    It is what zarr takes for a codec of numcodecs; nothing is ever packed with it.
    """

    codec_id = "bound"

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size

    def encode(self, buf: Any) -> Any:
        raise NotImplementedError

    def decode(self, buf: Any, out: Any = None) -> Any:  # noqa: ARG002
        return bytes(_UNPACK[self._name](bytes(buf), out=self._size))

    def get_config(self) -> dict[str, Any]:
        return {"id": self.codec_id, "name": self._name, "size": self._size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_BoundCompressor":
        return cls(config["name"], config["size"])


def _of_version_2(array: Any, dtype: "np.dtype[Any]") -> _BoundCompressor:
    name = _id_of(array.metadata.compressor)
    if name not in _UNPACK:
        raise _unknown(name)
    return _BoundCompressor(name, math.prod(array.chunks) * dtype.itemsize + _CHECKSUM)


def _of_version_3(codecs: tuple[Any, ...]) -> tuple[Any, ...]:
    bound: list[Any] = []
    compressors = 0
    for codec in codecs:
        if isinstance(codec, ShardingCodec):
            bound.append(dataclasses.replace(codec, codecs=_of_version_3(codec.codecs)))
        elif isinstance(codec, BytesCodec | TransposeCodec | Crc32cCodec):
            bound.append(codec)
        else:
            name = str(codec.to_dict()["name"])
            compressors += 1
            if name not in _UNPACK or compressors > 1:
                raise _unknown(name)
            bound.append(_BoundCodec(name))
    return tuple(bound)


def _id_of(codec: Any) -> str:
    return str(codec.get_config()["id"])


def _unknown(name: str) -> ValueError:
    return ValueError(
        f"is packed by the codec {name!r}, which is not read; save it with Blosc, Zstandard or gzip"
    )


def _is_blosc(array: Any) -> bool:
    compressor = getattr(array.metadata, "compressor", None)
    last = compressor or (getattr(array.metadata, "codecs", None) or (None,))[-1]
    return type(last).__name__ in ("Blosc", "BloscCodec")
