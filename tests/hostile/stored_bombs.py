"""TIFF files and OME-Zarr stores that claim, or unpack to, far more than they hold.

Each maker writes one at the path that it is given.
"""

import bz2
import gzip
import json
import lzma
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from image_bombs import HUGE, ZEROS, frame, jpeg, lossless, plain, zlib_zeros
from zarr_store import write_zarr

Writers = dict[str, Callable[[Path], object]]

# TIFF: tag, type and value; the type is 3 for 16 bits, 4 for 32 bits, 16 for 64 bits.
SHORT, LONG, LONG_8, ASCII, UNDEFINED = 3, 4, 16, 2, 7
SIZES = {ASCII: 1, SHORT: 2, LONG: 4, UNDEFINED: 1, LONG_8: 8}


def tiff(tags: dict[int, tuple[int, Any]], pixels: bytes = bytes(300), following: int = 0) -> bytes:
    """A TIFF of one page; 273 and 324, the places of pieces, are filled in with ``pixels``."""
    entries, outside = b"", b""
    start = 8 + 2 + 12 * len(tags) + 4
    for number in sorted(tags):
        kind, value = tags[number]
        if number in (273, 324):
            value = [8 + 2 + 12 * len(tags) + 4 + sum(_outside(tags))] * len(value)
        packed = _pack(kind, value)
        count = len(packed) // SIZES[kind]
        if len(packed) > 4:
            entries += struct.pack("<HHII", number, kind, count, start + len(outside))
            outside += packed
        else:
            entries += struct.pack("<HHI", number, kind, count) + packed.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + struct.pack("<I", following) + outside + pixels


def _outside(tags: dict[int, tuple[int, Any]]) -> list[int]:
    lengths = [len(_pack(kind, value)) for kind, value in tags.values()]
    return [length for length in lengths if length > 4]


def _pack(kind: int, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    code = {SHORT: "H", LONG: "I", LONG_8: "Q"}[kind]
    return struct.pack(f"<{len(value)}{code}", *value)


def page(
    side: int = 10,
    packing: int = 1,
    samples: int = 3,
    bits: int = 8,
    pixels: bytes = bytes(300),
    count: int | None = None,
    **tags: Any,
) -> bytes:
    """A TIFF of one strip."""
    own: dict[int, tuple[int, Any]] = {
        256: (LONG, [side]),
        257: (LONG, [side]),
        258: (SHORT, [bits] * samples),
        259: (SHORT, [packing]),
        262: (SHORT, [2 if samples == 3 else 1]),
        273: (LONG, [0]),
        277: (SHORT, [samples]),
        278: (LONG, [side]),
        279: (LONG, [len(pixels) if count is None else count]),
    }
    own |= {int(name.removeprefix("tag")): value for name, value in tags.items()}
    return tiff({number: value for number, value in own.items() if value is not None}, pixels)


def tiled(side: int, tile: int, packing: int, pixels: bytes) -> bytes:
    tags = {"tag322": (LONG, [tile]), "tag323": (LONG, [tile]), "tag324": (LONG, [0])}
    gone = {"tag273": None, "tag278": None, "tag279": None, "tag325": (LONG, [len(pixels)])}
    return page(side, packing, pixels=pixels, **tags, **gone)


def packed_zeros(name: str) -> bytes:
    if name == "zstd":
        return imagecodecs.zstd_encode(bytes(ZEROS), level=1)
    pack = {"lzma": lzma.compress, "bz2": bz2.compress, "gzip": gzip.compress}[name]
    piece = pack(bytes(2**26))
    return piece * (ZEROS // 2**26) if name != "lzma" else pack(bytes(2**28), preset=0)


def ome(pixels: str, before: str = "") -> bytes:
    text = f'<?xml version="1.0"?>{before}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels DimensionOrder="XYZCT" Type="uint8" {pixels}</Pixels></Image></OME>'  # fmt: skip # noqa: E501
    return text.encode() + b"\0"


def entities() -> str:
    lines = "".join(f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 12))
    return f'<!DOCTYPE OME [<!ENTITY e0 "eeeeeeeeee">{lines}]>'


def chain(count: int) -> bytes:
    """Empty pages that follow each other."""
    size = 2 + 12 + 4
    pages = b"".join(
        struct.pack("<HHHII", 1, 256, LONG, 1, 10)
        + struct.pack("<I", 8 + size * (number + 1) if number + 1 < count else 0)
        for number in range(count)
    )
    return b"II*\0" + struct.pack("<I", 8) + pages


SIZE = 'SizeX="10" SizeY="10" SizeZ="1" SizeC="1"'
LARGE_JPEG = jpeg(frame(HUGE))
TIFFS: dict[str, Callable[[], bytes]] = {
    "64 samples of 16 bits in 146 bytes": lambda: page(
        8_000, samples=1, bits=16, pixels=b"", count=0, tag277=(SHORT, [64]), tag338=None
    ),
    "nothing of 30,000 x 30,000": lambda: page(30_000, count=0),
    "more pixels than any": lambda: page(2**20),
    "sides of 32 bits": lambda: page(2**32 - 1),
    "deflate that unpacks to a gigabyte": lambda: page(10, 8, pixels=zlib_zeros(ZEROS), samples=1),
    "Zstandard that unpacks to a gigabyte": lambda: page(
        10, 50000, pixels=packed_zeros("zstd"), samples=1
    ),
    "a JPEG of 32,000 x 32,000 in it": lambda: page(10, 7, pixels=LARGE_JPEG),
    "a JPEG with two headers in it": lambda: page(10, 7, pixels=jpeg(frame(10), frame(HUGE))),
    "tables that hold a picture": lambda: page(
        10, 7, pixels=jpeg(frame(10)), tag347=(UNDEFINED, LARGE_JPEG)
    ),
    "a JPEG 2000 of 32,000 x 32,000 in it": lambda: page(10, 34712, pixels=plain()),
    "a WebP of 16,383 x 16,383 in it": lambda: page(
        10, 50001, pixels=b"RIFF" + struct.pack("<I", len(lossless()) + 4) + b"WEBP" + lossless()
    ),
    "a PNG in it": lambda: page(10, 34933, pixels=b"\x89PNG"),
    "a tile beyond the picture": lambda: tiled(16, 2**15, 8, zlib_zeros(2**20)),
    "planes without number": lambda: page(
        samples=1, tag270=(ASCII, ome(f'{SIZE} SizeT="2000000000"><TiffData/>'))
    ),
    "planes from a number": lambda: page(
        samples=1,
        tag270=(ASCII, ome(f'{SIZE} SizeT="1"><TiffData IFD="0" PlaneCount="2000000000"/>')),
    ),
    "steps without number": lambda: page(
        samples=1,
        tag270=(
            ASCII,
            ome(f'{SIZE} SizeT="1"><TiffData/>').replace(
                b"</OME>",
                b'<StructuredAnnotations><XMLAnnotation ID="A" Namespace="a/modulo"><Value>'
                b'<Modulo><ModuloAlongT Type="phase" Start="0" End="2000000000"/></Modulo>'
                b"</Value></XMLAnnotation></StructuredAnnotations></OME>",
            ),
        ),
    ),
    "a million pages": lambda: chain(1_000_000),
    "a million sub-pages": lambda: page(samples=1, tag330=(LONG, [8] * 1_000_000)),
}
HARMLESS_TIFFS: dict[str, Callable[[], bytes]] = {
    "LZMA that unpacks to a quarter": lambda: page(10, 34925, pixels=packed_zeros("lzma")),
    "pages of an ImageJ stack": lambda: page(
        samples=1, tag270=(ASCII, b"ImageJ=1.54\nimages=2000000000\nframes=2000000000\n\0")
    ),
    "entities that name each other": lambda: page(
        samples=1, tag270=(ASCII, ome(f'{SIZE} SizeT="1"><TiffData/>&e11;', entities()))
    ),
}


# OME-Zarr


def store(path: Path, version: int = 2, **array: Any) -> Path:
    """A store of 16 x 16 pixels in one chunk; returns the chunk's file."""
    return write_zarr(path, np.full((16, 16), 7, np.uint8), version, **array)


def edit(path: Path, name: str, **values: Any) -> None:
    """Change the metadata of an array."""
    file = path / "0" / name
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def sized(**values: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        store(path)
        edit(path, ".zarray", **values)

    return write


def packed(name: str, data: Callable[[], bytes], **options: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        chunk = store(path)
        edit(path, ".zarray", compressor={"id": name, **options})
        chunk.write_bytes(data())

    return write


def packed_3(name: str, data: Callable[[], bytes], **options: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        chunk = store(path, 3)
        codecs = [{"name": "bytes"}, {"name": name, "configuration": options}]
        edit(path, "zarr.json", codecs=codecs)
        chunk.write_bytes(data())

    return write


def blosc_header(size: int) -> bytes:
    """A Blosc chunk of 40 bytes that claims another size (README_CHUNK_FORMAT)."""
    return struct.pack("<BBBBIII", 2, 1, 2, 1, size, size, 40) + bytes(24)


def sharded(path: Path) -> None:
    store(path, 3, shards=(16, 16), chunks=(4, 4))
    file = path / "0" / "zarr.json"
    text = file.read_text().replace("16", str(2**20))
    file.write_text(text.replace('"chunk_shape": [4', '"chunk_shape": [4'))


def long_chunk(path: Path) -> None:
    chunk = store(path, compressors=None)
    with chunk.open("wb") as file:
        file.truncate(2**32)


STORES: Writers = {
    "64 bits of floating point": sized(
        shape=[20_000, 20_000], chunks=[1024, 1024], dtype="<f8", fill_value=0.0
    ),
    "pixels without number": sized(shape=[10**6, 10**6]),
    "30,000 x 30,000 of one chunk": sized(shape=[30_000, 30_000]),
    "a chunk beyond the picture": sized(chunks=[10**6, 10**6]),
    "chunks of a pixel": sized(shape=[8000, 8000], chunks=[1, 1]),
    "a value of a gigabyte": sized(dtype="|S1000000000", fill_value=None),
    "Blosc that claims two gigabytes": packed(
        "blosc", lambda: blosc_header(2**31 - 16), cname="lz4", clevel=5, shuffle=1
    ),
    "gzip that unpacks to a gigabyte": packed("gzip", lambda: packed_zeros("gzip"), level=5),
    "zlib that unpacks to a gigabyte": packed("zlib", lambda: zlib_zeros(ZEROS), level=5),
    "bz2 that unpacks to a gigabyte": packed("bz2", lambda: packed_zeros("bz2"), level=5),
    "LZMA that unpacks to a quarter": packed("lzma", lambda: packed_zeros("lzma")),
    "LZ4 that claims two gigabytes": packed("lz4", lambda: struct.pack("<I", 2**31 - 1) + bytes(9)),
    "Zstandard that unpacks to a gigabyte": packed("zstd", lambda: packed_zeros("zstd"), level=5),
    "gzip of version 3": packed_3("gzip", lambda: packed_zeros("gzip"), level=5),
    "Zstandard of version 3": packed_3(
        "zstd", lambda: packed_zeros("zstd"), level=5, checksum=False
    ),
    "a filter that pickles": sized(filters=[{"id": "pickle"}], dtype="|O", fill_value=""),
    "a shard of chunks without number": sharded,
    "a chunk of four gigabytes": long_chunk,
}
