"""Chunks in every packing that is read, and those that hold more or less than they claim."""

import json
import struct
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec
from zarr_store import write_zarr

from tiledseg.errors import ImageError
from tiledseg.images.opening import open_slide
from tiledseg.images.reading import read_as_stored, read_image

PIXELS = np.random.default_rng(2).integers(0, 60_000, (40, 50), dtype=np.uint16)
OLD: dict[str, Any] = {
    "none": None,
    "blosc": numcodecs.Blosc(),
    "bz2": numcodecs.BZ2(),
    "gzip": numcodecs.GZip(),
    "lz4": numcodecs.LZ4(),
    "lzma": numcodecs.LZMA(),
    "zlib": numcodecs.Zlib(),
    "zstd": numcodecs.Zstd(),
}
NEW: dict[str, Any] = {
    "none": None,
    "blosc": BloscCodec(),
    "gzip": GzipCodec(),
    "zstd": ZstdCodec(),
    "zstd with checksum": ZstdCodec(checksum=True),
}


def write(path: Path, version: int, **options: Any) -> Path:
    """PIXELS as a store; returns the file of the first chunk."""
    return write_zarr(path, PIXELS, version, **options)


def check(path: Path) -> None:
    np.testing.assert_array_equal(read_as_stored(path), PIXELS)
    slide = open_slide(path)
    np.testing.assert_array_equal(slide.read(np.s_[3:37, 10:50]), read_image(path)[3:37, 10:50])
    slide.close()


@pytest.mark.parametrize("name", OLD)
def test_version_2(tmp_path, name):
    write(tmp_path / "a.zarr", 2, compressors=OLD[name])
    check(tmp_path / "a.zarr")


@pytest.mark.parametrize("codec", [numcodecs.Delta("<u2"), numcodecs.Shuffle(2)], ids=str)
def test_filters_that_keep_the_size(tmp_path, codec):
    write(tmp_path / "a.zarr", 2, filters=[codec])
    check(tmp_path / "a.zarr")


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("shards", [None, (32, 32)])
def test_version_3(tmp_path, name, shards):
    write(tmp_path / "a.zarr", 3, compressors=NEW[name], shards=shards)
    check(tmp_path / "a.zarr")


def test_other_packings_are_named(tmp_path):
    write(tmp_path / "a.zarr", 2, filters=[numcodecs.FixedScaleOffset(0, 1, "<u2", "<u2")])
    with pytest.raises(ImageError, match=r"packed by the codec 'fixedscaleoffset'.*; save it with"):
        read_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("name", [name for name in OLD if name != "none"])
@pytest.mark.parametrize("count", [100, 100_000_000])
def test_a_chunk_that_holds_more_or_less_than_its_shape(tmp_path, name, count):
    chunk = write(tmp_path / "a.zarr", 2, compressors=OLD[name])
    chunk.write_bytes(OLD[name].encode(bytes(count)))
    with pytest.raises(ImageError, match="damaged Zarr store"):
        read_image(tmp_path / "a.zarr")
    slide = open_slide(tmp_path / "a.zarr")
    with pytest.raises(ImageError, match="cannot be decoded near row 0, column 0"):
        slide.read(np.s_[0:16, 0:16])


def test_a_chunk_that_claims_more_than_its_shape(tmp_path):
    chunk = write(tmp_path / "a.zarr", 2, compressors=numcodecs.Blosc())
    chunk.write_bytes(struct.pack("<BBBBIII", 2, 1, 2, 1, 2**31 - 16, 2**31 - 16, 40) + bytes(24))
    with pytest.raises(ImageError, match="damaged Zarr store"):
        read_image(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"chunks": [10**6, 10**6]}, "stored in pieces of 2000000 MB"),
        ({"chunks": [1, 1], "shape": [5000, 5000]}, "stored in chunks of 1 pixels"),
        ({"shape": [30_000, 30_000]}, "claims 3515625 chunks and holds 12; copy it again"),
        ({"shape": [0, 50]}, "claims an empty picture of 0 x 50 pixels"),
        ({"shape": [10**6, 10**6]}, "more than 1073741824 in all|chunks and holds 12"),
        ({"dtype": "|S9", "fill_value": None}, "holds |S9 values; save it"),
        ({"chunks": [0, 0]}, "stored in chunks of 0 pixels"),
        ({"chunks": ["x"]}, "is a Zarr store, but expected"),
        ({"shape": None}, "is a Zarr store, but expected"),
    ],
)
def test_odd_metadata(tmp_path, values, words):
    write(tmp_path / "a.zarr", 2)
    place = tmp_path / "a.zarr" / "0" / ".zarray"
    place.write_text(json.dumps(json.loads(place.read_text()) | values))
    for read in (read_image, open_slide):
        with pytest.raises(ImageError, match=words):
            read(tmp_path / "a.zarr")


def test_a_chunk_far_longer_than_its_pixels(tmp_path):
    chunk = write(tmp_path / "a.zarr", 2, compressors=None)
    with chunk.open("ab") as file:
        file.truncate(2**33)
    for read in (read_image, open_slide):
        with pytest.raises(ImageError, match="has 8589934592 bytes, more than its pixels take"):
            read(tmp_path / "a.zarr")
