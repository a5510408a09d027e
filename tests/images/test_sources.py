"""Regions of a slide are those of the image in memory, whatever the file's layout."""

import struct

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from tiledseg.errors import ImageError
from tiledseg.images import limits, sources
from tiledseg.images.opening import open_slide, slide_shape, stem_of
from tiledseg.images.pixel_size import PixelSize
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_image

REGIONS = (np.s_[0:1, 0:1], np.s_[30:70, 5:93], np.s_[0:97, 0:131], np.s_[96:97, 130:131])
RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (97, 131, 3), np.uint8)
DEEP = RNG.integers(0, 2**16, (97, 131, 3), np.uint16)
TILED = {"tile": (32, 48)}


def shown(stored):
    """What ``read_image`` makes of pixels (H, W) or (H, W, S)."""
    if stored.dtype == np.uint16:
        stored = np.rint(stored / 257).astype(np.uint8)
    if stored.ndim == 2 or stored.shape[2] < 3:
        gray = stored if stored.ndim == 2 else stored[..., 0]
        return np.repeat(gray[..., np.newaxis], 3, axis=2)
    return stored[..., :3]


def check(path, expected):
    slide = open_slide(path)
    try:
        assert slide.shape == (97, 131, 3)
        for region in REGIONS:
            pixels = slide.read(region)
            assert pixels.dtype == np.uint8
            assert np.array_equal(pixels, expected[region])
    finally:
        slide.close()
    assert slide_shape(path) == (97, 131)


@pytest.mark.parametrize("pixels", [RGB, DEEP, RGB[..., 0], DEEP[..., 0],
                                    np.dstack((RGB, RGB[..., :1]))])  # fmt: skip
@pytest.mark.parametrize(
    "layout",
    [
        TILED,
        {**TILED, "compression": "zlib", "predictor": True},
        {**TILED, "compression": "lzw", "bigtiff": True},
        {"rowsperstrip": 7, "compression": "zlib"},
        {"byteorder": ">"},
        {**TILED, "byteorder": ">"},
    ],
)
def test_tiff(tmp_path, monkeypatch, pixels, layout):
    monkeypatch.setattr(sources, "LARGEST_PIECE", 32 * 48 * 16)  # what is larger is not "small"
    kind = {} if pixels.ndim == 2 else {"photometric": "rgb"}
    alpha = {"extrasamples": ["unassalpha"]} if pixels.shape[2:] == (4,) else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **kind, **alpha, **layout)
    check(tmp_path / "a.tif", shown(pixels))


def test_planes_and_pages_of_channels_and_the_largest_level_of_a_pyramid(tmp_path):
    planes = np.moveaxis(RGB, 2, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate", tile=(32, 32)
    )
    check(tmp_path / "a.tif", RGB)
    tifffile.imwrite(tmp_path / "b.ome.tif", planes, tile=(32, 32), metadata={"axes": "CYX"})
    check(tmp_path / "b.ome.tif", RGB)
    with tifffile.TiffWriter(tmp_path / "c.tif") as file:
        file.write(RGB, tile=(32, 32), photometric="rgb", subifds=1)
        file.write(RGB[::2, ::2], tile=(32, 32), photometric="rgb", subfiletype=1)
    check(tmp_path / "c.tif", RGB)


def test_jpeg_tiles_white_is_zero_and_color_tables(tmp_path):
    smooth = cv2.GaussianBlur(RGB, (0, 0), 8)
    for halved in ((1, 1), (2, 2)):
        tifffile.imwrite(
            tmp_path / "a.tif", smooth, tile=(48, 48), photometric="rgb", subsampling=halved,
            compression="jpeg", compressionargs={"level": 95},
        )  # fmt: skip
        read = open_slide(tmp_path / "a.tif").read(REGIONS[2])
        assert np.abs(read.astype(int) - smooth).max() <= 8
    tifffile.imwrite(tmp_path / "b.tif", RGB[..., 0], photometric="miniswhite", tile=(32, 32))
    check(tmp_path / "b.tif", shown(255 - RGB[..., 0]))
    table = np.zeros((3, 256), np.uint16)
    table[0] = np.arange(256) * 257
    tifffile.imwrite(
        tmp_path / "c.tif", RGB[..., 0], photometric="palette", colormap=table, tile=(32, 32)
    )
    check(tmp_path / "c.tif", np.dstack((RGB[..., 0], RGB[..., 0] * 0, RGB[..., 0] * 0)))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yx", "cyx", "tczyx"])
def test_ome_zarr(tmp_path, version, axes):
    planes = {"yx": DEEP[..., 0], "cyx": np.moveaxis(DEEP, 2, 0)}
    stored = planes.get(axes, planes["cyx"][np.newaxis, :, np.newaxis])
    multiscale = {
        "version": version,
        "axes": [
            {"name": name, **({"type": "space", "unit": "nanometer"} if name in "yx" else {})}
            for name in axes
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [250.0 if n in "yx" else 1.0 for n in axes]}
                ],
            }
        ],
    }
    group = zarr.create_group(tmp_path / "a.ome.zarr", zarr_format=2 if version == "0.4" else 3)
    group.attrs.update(
        {"multiscales": [multiscale]}
        if version == "0.4"
        else {"ome": {"version": "0.5", "multiscales": [multiscale]}}
    )
    level = group.create_array(
        "0", shape=stored.shape, dtype=stored.dtype, chunks=(*(1,) * (len(axes) - 2), 40, 64)
    )
    level[...] = stored
    check(tmp_path / "a.ome.zarr", shown(DEEP if "c" in axes else DEEP[..., 0]))
    assert open_slide(tmp_path / "a.ome.zarr").pixel_size == PixelSize(0.25, 0.25)


def test_other_formats_are_read_whole(tmp_path):
    for name in ("a.png", "b.bmp", "c.jpg"):
        write_image(tmp_path / name, RGB)
        check(tmp_path / name, read_image(tmp_path / name))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"ome": True, "metadata": {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 250.0,
                                    "PhysicalSizeYUnit": "nm"}}, PixelSize(0.25, 0.5)),
        ({"ome": True, "metadata": {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}},
         PixelSize(0.25, 0.5)),
        ({"resolution": (20000, 40000), "resolutionunit": "centimeter"}, PixelSize(0.25, 0.5)),
        ({"resolution": (72, 72), "resolutionunit": "inch"}, None),
        ({"resolution": (300, 300), "resolutionunit": "inch"}, None),
        ({"resolution": (50800, 101600), "resolutionunit": "inch"}, PixelSize(0.25, 0.5)),
        ({"resolution": (2, 4), "resolutionunit": "none"}, None),
        ({}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", [TILED, {}], ids=["tiles", "one strip"])
def test_pixel_size(tmp_path, arguments, expected, layout):
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", **layout, **arguments)
    check_pixel_size(tmp_path / "a.tif", expected)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("micron", PixelSize(0.25, 0.5)),
        ("um", PixelSize(0.25, 0.5)),
        ("\\u00B5m", PixelSize(0.25, 0.5)),
        ("\\u00b5m", PixelSize(0.25, 0.5)),
        ("\\u03BCm", PixelSize(0.25, 0.5)),
        ("µm", PixelSize(0.25, 0.5)),
        ("Micron", PixelSize(0.25, 0.5)),
        ("nm", PixelSize(0.00025, 0.0005)),
        ("inch", PixelSize(6350.0, 12700.0)),
        ("pixel", None),
    ],
)
def test_pixel_size_by_imagej(tmp_path, unit, expected):
    """ImageJ escapes what is not ASCII, or writes it in Latin-1."""
    path = tmp_path / "a.tif"
    text = f"ImageJ=1.54f\nunit={unit}\n".encode("latin-1")
    tifffile.imwrite(path, RGB[..., 0], resolution=(2, 4), resolutionunit=1, description=text,
                     metadata=None)  # fmt: skip
    check_pixel_size(path, expected)


def test_a_turned_picture_has_its_pixels_turned(tmp_path):
    for orientation, expected in ((3, PixelSize(0.25, 0.5)), (6, PixelSize(0.5, 0.25))):
        tifffile.imwrite(
            tmp_path / "a.tif", RGB, photometric="rgb", resolution=(20000, 40000),
            resolutionunit="centimeter", extratags=[(274, "H", 1, orientation, True)], **TILED,
        )  # fmt: skip
        check_pixel_size(tmp_path / "a.tif", expected)


def check_pixel_size(path, expected):
    slide = open_slide(path)
    found = slide.pixel_size
    slide.close()
    if expected is None:
        assert found is None
    else:
        assert (found.height, found.width) == pytest.approx((expected.height, expected.width))


def test_a_cut_off_file_is_named(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", **TILED)
    whole = path.read_bytes()
    for part in (0.2, 0.5, 0.98):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(ImageError, match=r"a\.tif.*truncated"):
            open_slide(path)


def test_damage_inside_is_found_where_it_is_read(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", compression="zlib", **TILED)
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].dataoffsets[4]
    data = bytearray(path.read_bytes())
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    slide = open_slide(path)
    slide.read(np.s_[0:10, 0:10])
    with pytest.raises(ImageError, match=r"a\.tif: cannot be decoded near row 32, column 48"):
        slide.read(np.s_[32:64, 48:96])


@pytest.mark.parametrize("layout", [TILED, {}, {"rowsperstrip": 8, "compression": "zlib"}])
def test_a_claim_of_200000_pixels_squared_is_refused_unread(tmp_path, layout):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", **layout)
    with tifffile.TiffFile(path) as file:
        places = [file.pages[0].tags[name] for name in ("ImageWidth", "ImageLength")]
    data = bytearray(path.read_bytes())
    for tag in places:
        struct.pack_into("<HI", data, tag.offset + 2, 4, 1)
        struct.pack_into("<I", data, tag.offset + 8, 200_000)
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"200000"):
        open_slide(path)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((40, 40, 5), np.uint8), "5 channels"),
        (np.zeros((40, 40), np.float32), "float32"),
    ],
)
def test_other_channels_and_types_are_refused(tmp_path, pixels, words):
    kind = {"planarconfig": "contig"} if pixels.ndim == 3 else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", tile=(16, 16), **kind)
    with pytest.raises(ImageError, match=words):
        open_slide(tmp_path / "a.tif")


def test_a_tile_too_large_to_decode_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LARGEST_PIECE", 1000)
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", **TILED)
    with pytest.raises(ImageError, match="pieces of"):
        open_slide(tmp_path / "a.tif")


def test_what_is_no_image_is_named(tmp_path):
    group = zarr.create_group(tmp_path / "empty.zarr")
    group.create_array("0", shape=(200_000, 200_000), dtype=np.uint8, chunks=(1024, 1024))
    group.attrs["ome"] = {
        "multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}]
    }
    with pytest.raises(ImageError, match=r"empty\.zarr: claims 200000 x 200000 .* holds none"):
        open_slide(tmp_path / "empty.zarr")
    zarr.create_group(tmp_path / "a.zarr")
    with pytest.raises(ImageError, match=r"a\.zarr: is a Zarr store, but expected"):
        open_slide(tmp_path / "a.zarr")
    with pytest.raises(ImageError, match=r"b\.tif"):
        open_slide(tmp_path / "b.tif")


def test_stems():
    names = ("a.png", "a.ome.tif", "a.OME.tiff", "a.ome.zarr", "a.zarr", "a.b.tif")
    assert [stem_of(sources.Path(name)) for name in names] == ["a"] * 5 + ["a.b"]
