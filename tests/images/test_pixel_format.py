"""How files store their pixels, read from their headers."""

import cv2
import numpy as np
import pytest
import tifffile

from tiledseg.errors import ImageError
from tiledseg.images.pixel_format import PixelFormat, read_pixel_format

GRAY, COLOR = np.zeros((5, 7), np.uint8), np.zeros((5, 7, 3), np.uint8)
ALPHA = np.zeros((5, 7, 4), np.uint8)


@pytest.mark.parametrize(
    ("name", "pixels", "form"),
    [
        ("a.png", GRAY, PixelFormat("png", 1, 8)),
        ("a.png", COLOR, PixelFormat("png", 3, 8)),
        ("a.png", ALPHA, PixelFormat("png", 4, 8, alpha=True)),
        ("a.png", COLOR.astype(np.uint16), PixelFormat("png", 3, 16)),
        ("a.jpg", GRAY, PixelFormat("jpeg", 1, 8)),
        ("a.jpg", COLOR, PixelFormat("jpeg", 3, 8)),
        ("a.bmp", COLOR, PixelFormat("bmp", 3, 8)),
        ("a.bmp", ALPHA, PixelFormat("bmp", 4, 8, alpha=True)),
    ],
)
def test_written_by_opencv(tmp_path, name, pixels, form):
    assert cv2.imwrite(str(tmp_path / name), pixels)
    assert read_pixel_format(tmp_path / name) == form


def test_tiff(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 5, 7), np.uint16), photometric="minisblack")
    assert read_pixel_format(path) == PixelFormat("tiff", 1, 16, pages=3)
    tifffile.imwrite(path, ALPHA, photometric="rgb", extrasamples=["unassalpha"])
    assert read_pixel_format(path) == PixelFormat("tiff", 4, 8, alpha=True)
    tifffile.imwrite(path, GRAY, photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    assert read_pixel_format(path) == PixelFormat("tiff", 3, 8, palette=True)


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"II*\x00nothing"])
def test_what_is_no_image(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png: .*export it again"):
        read_pixel_format(tmp_path / "a.png")
    with pytest.raises(ImageError, match="header cannot be read"):
        read_pixel_format(tmp_path / "missing.png")
