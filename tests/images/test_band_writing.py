"""What is written band by band reads back whole, with its smaller copies and its pixel size."""

import resource

import cv2
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from tiledseg.errors import OutputError
from tiledseg.images.band_writing import SUFFIXES, check_format, write_picture
from tiledseg.images.opening import open_slide
from tiledseg.images.pixel_size import PixelSize
from tiledseg.images.pyramid import Picture, level_shapes

SIZE = PixelSize(0.25, 0.5)


def picture_of(pixels, averages=False):
    bands = (pixels[top : top + 512] for top in range(0, len(pixels), 512))
    return Picture(*pixels.shape, pixels.dtype, bands, averages, SIZE, "a", "b")


def written(folder, pixels, form, averages=False):
    path = folder / f"a{SUFFIXES[form]}"
    (folder / "work").mkdir(exist_ok=True)
    write_picture(path, picture_of(pixels, averages), form, folder / "work")
    assert list((folder / "work").iterdir()) == []
    return path


def read_levels(path, form):
    if form == "png":
        return [cv2.imread(str(path), cv2.IMREAD_UNCHANGED)]
    if form == "ome-tiff":
        with tifffile.TiffFile(path) as file:
            return [level.asarray() for level in file.series[0].levels]
    group = zarr.open_group(path, mode="r")
    (multiscale,) = group.attrs["ome"]["multiscales"]
    return [group[item["path"]][...] for item in multiscale["datasets"]]


@pytest.mark.parametrize("form", SUFFIXES)
@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 1), np.uint8), ((3, 700), np.uint32), ((1501, 1100), np.uint16)]
)
def test_comes_back_with_every_second_pixel(tmp_path, form, shape, dtype):
    if form == "png" and dtype == np.uint32:
        return
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    found = read_levels(written(tmp_path, pixels, form), form)
    assert found[0].dtype == dtype
    assert len(found) == (1 if form == "png" else len(level_shapes(*shape)))
    for number, level in enumerate(found):
        assert np.array_equal(level, pixels[:: 2**number, :: 2**number])


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_probabilities_are_averaged(tmp_path, form):
    pixels = np.random.default_rng(0).integers(0, 256, (1025, 600), np.uint8)
    _, half, _ = read_levels(written(tmp_path, pixels, form, averages=True), form)
    squares = pixels[:1024].reshape(512, 2, 300, 2).mean(axis=(1, 3))
    assert np.abs(half[:512] - squares).max() <= 0.5


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_our_own_reader_finds_pixels_and_their_size(tmp_path, form):
    pixels = np.random.default_rng(0).integers(0, 256, (700, 600), np.uint8)
    slide = open_slide(written(tmp_path, pixels, form))
    assert slide.pixel_size == SIZE
    assert np.array_equal(slide.read(np.s_[0:700, 0:600])[..., 0], pixels)


def test_a_png_says_how_large_its_pixels_are(tmp_path):
    path = written(tmp_path, np.zeros((9, 11), np.uint8), "png")
    with Image.open(path) as file:
        assert file.info["dpi"] == pytest.approx((25400 / 0.5, 25400 / 0.25))


def test_what_does_not_fit_a_png_is_told_before(tmp_path):
    with pytest.raises(OutputError, match="--format ome-tiff"):
        check_format(tmp_path / "a.png", 200_000, 200_000, "png")
    check_format(tmp_path / "a.ome.tif", 200_000, 200_000, "ome-tiff")
    with pytest.raises(OutputError, match="32 bits"):
        written(tmp_path, np.zeros((3, 3), np.uint32), "png")


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_full_disk_is_an_output_error(tmp_path, form):
    """The system refuses files over a limit, as it refuses them on a full disk."""
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1100), np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot be written .*room"):
            written(tmp_path, pixels, form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
