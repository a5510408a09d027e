"""Pictures as files, a band of rows at a time: PNG, pyramidal OME-TIFF, OME-Zarr."""

import struct
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from tiledseg.errors import OutputError
from tiledseg.images.atomic import cannot_write
from tiledseg.images.canvas import BAND
from tiledseg.images.limits import MAX_PIXELS
from tiledseg.images.pixel_size import PixelSize
from tiledseg.images.pyramid import Picture, build_levels, level_shapes

Format = Literal["png", "ome-tiff", "ome-zarr"]
SUFFIXES: dict[Format, str] = {"png": ".png", "ome-tiff": ".ome.tif", "ome-zarr": ".ome.zarr"}

_PNG_GRAY, _PNG_PALETTE = 0, 3
"""Color types of PNG."""
_TILE = 512
"""Side of a tile of a TIFF, in pixels; the bands are divided into them."""
_CHUNK = 2 * BAND
"""Side of a chunk of a Zarr array, in pixels."""


def write_picture(path: Path, picture: Picture, file_format: Format, folder: Path) -> None:
    """Write a picture; what lies at ``path`` is not complete until this returns.

    Args:
        path: The file, or the folder for OME-Zarr; must not exist.
        picture: What to write.
        file_format: Its format. A PNG has no smaller copies.
        folder: For smaller copies on their way.

    Raises:
        OutputError: The disk is full or fails, or the picture does not suit the format.
    """
    try:
        _WRITERS[file_format](path, picture, folder)
    except OSError as error:
        raise cannot_write(path, error) from None


def check_format(path: Path, height: int, width: int, file_format: Format) -> None:
    """Refuse a picture that is too large for a format before it is computed.

    Raises:
        OutputError: It is a PNG that common readers refuse to decode.
    """
    if file_format == "png" and height * width > MAX_PIXELS:
        raise OutputError(
            f"{path}: a PNG of {width} x {height} pixels is more than readers decode "
            f"({MAX_PIXELS} pixels); pass --format ome-tiff or --format ome-zarr"
        )


def _write_png(path: Path, picture: Picture, _: Path) -> None:
    """PNG of 8 or 16 bits (ISO/IEC 15948), gray or with a palette, without any filter."""
    depth = 8 * np.dtype(picture.dtype).itemsize
    if depth > 16:
        raise OutputError(
            f"{path}: labels of {depth} bits do not fit into a PNG; pass --format ome-tiff"
        )
    with path.open("xb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        kind = _PNG_GRAY if picture.palette is None else _PNG_PALETTE
        _png_chunk(file, b"IHDR", struct.pack(">IIBBBBB", picture.width, picture.height,
                                              depth, kind, 0, 0, 0))  # fmt: skip
        if picture.pixel_size is not None:
            _png_chunk(file, b"pHYs", _pixels_per_meter(picture.pixel_size))
        if picture.palette is not None:
            _png_chunk(file, b"PLTE", picture.palette.tobytes())
        packer = zlib.compressobj(level=3)
        for band in picture.bands:
            stored = band.astype(np.dtype(picture.dtype).newbyteorder(">"))
            rows = stored.view(np.uint8).reshape(len(band), -1)
            lines = np.pad(rows, ((0, 0), (1, 0)))  # each line begins with the filter's number
            if data := packer.compress(lines.tobytes()):
                _png_chunk(file, b"IDAT", data)
        _png_chunk(file, b"IDAT", packer.flush())
        _png_chunk(file, b"IEND", b"")


def _pixels_per_meter(size: PixelSize) -> bytes:
    """The content of a pHYs block: pixels per meter along x and y, rounded."""
    return struct.pack(
        ">IIB", *(min(round(1e6 / side), 2**31 - 1) for side in (size.width, size.height)), 1
    )


def _png_chunk(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name + data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _write_tiff(path: Path, picture: Picture, folder: Path) -> None:
    """BigTIFF with OME-XML; smaller copies are SubIFDs, as OME-TIFF 6.0 has it."""
    metadata: dict[str, Any] = {
        "axes": "YX",
        "Name": picture.name,
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, picture.identity)),
    }
    if picture.pixel_size is not None:
        metadata |= {
            "PhysicalSizeX": picture.pixel_size.width,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": picture.pixel_size.height,
            "PhysicalSizeYUnit": "µm",
        }
    count = len(level_shapes(picture.height, picture.width))
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        for number, (shape, bands) in enumerate(build_levels(picture, folder)):
            file.write(
                _tiles(bands),
                shape=shape,
                dtype=picture.dtype,
                tile=(_TILE, _TILE),
                compression="zlib",
                photometric="minisblack",
                metadata=metadata if number == 0 else None,
                subifds=count - 1 if number == 0 else None,
                subfiletype=1 if number else 0,
                maxworkers=1,  # more of them take bands in beforehand
            )


def _tiles(bands: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Divide bands into tiles, those at the edges filled up with 0."""
    for band in bands:
        below, right = (-side % _TILE for side in band.shape)
        padded = np.pad(band, ((0, below), (0, right)))
        for top in range(0, padded.shape[0], _TILE):
            for left in range(0, padded.shape[1], _TILE):
                yield np.ascontiguousarray(padded[top : top + _TILE, left : left + _TILE])


def _write_zarr(path: Path, picture: Picture, folder: Path) -> None:
    """OME-Zarr 0.5 on Zarr 3: axes y and x, one array per level."""
    group = zarr.create_group(path, zarr_format=3)
    datasets = []
    size = picture.pixel_size
    steps = (1.0, 1.0) if size is None else (size.height, size.width)
    for number, (shape, bands) in enumerate(build_levels(picture, folder)):
        level = group.create_array(
            str(number), shape=shape, dtype=picture.dtype, chunks=(_CHUNK, _CHUNK),
            dimension_names=("y", "x"),
        )  # fmt: skip
        top = 0
        for band in _join(bands):
            level[top : top + len(band)] = band
            top += len(band)
        scale = [step * 2**number for step in steps]
        datasets.append(
            {
                "path": str(number),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    unit = {} if size is None else {"unit": "micrometer"}
    axes = [{"name": name, "type": "space", **unit} for name in ("y", "x")]
    multiscale = {"name": picture.name, "axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


def _join(bands: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Two bands in one, so that every chunk is written once."""
    for band in bands:
        following = next(bands, None)
        yield band if following is None else np.concatenate((band, following))


_WRITERS: dict[Format, Callable[[Path, Picture, Path], None]] = {
    "png": _write_png,
    "ome-tiff": _write_tiff,
    "ome-zarr": _write_zarr,
}
