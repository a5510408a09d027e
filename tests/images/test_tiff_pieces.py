"""Damage in a JPEG piece of a TIFF is found, however the piece is read."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from tiledseg.errors import ImageError
from tiledseg.images.opening import open_slide
from tiledseg.images.reading import read_image

KINDS = {
    "rgb": {"photometric": "rgb"},
    "subsampled": {"photometric": "ycbcr", "subsampling": (2, 2)},
    "gray": {"photometric": "minisblack"},
    "planes": {"photometric": "rgb", "planarconfig": "separate"},
}


def picture(kind: str) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return {"gray": soft[..., 0], "planes": np.moveaxis(soft, 2, 0)}.get(kind, soft)


def write(path: Path, kind: str, **layout) -> None:
    tifffile.imwrite(path, picture(kind), compression="jpeg", **KINDS[kind], **layout)


def damage(path: Path, piece: int) -> None:
    """Overwrite the middle of a tile or strip with zeros."""
    with tifffile.TiffFile(path) as file:
        page = file.series[0].keyframe
        offset, count = page.dataoffsets[piece], page.databytecounts[piece]
    data = bytearray(path.read_bytes())
    data[offset + count // 2 : offset + 3 * count // 4] = bytes(3 * count // 4 - count // 2)
    path.write_bytes(data)


@pytest.mark.parametrize("layout", [{"tile": (128, 128)}, {"rowsperstrip": 64}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_piece_is_refused_whole_and_in_parts(tmp_path, kind, layout):
    path = tmp_path / "a.tif"
    write(path, kind, **layout)
    with tifffile.TiffFile(path) as file:
        expected = file.asarray()
    sound = read_image(path)
    if kind == "planes":
        expected = np.moveaxis(expected, 0, 2)
    assert np.array_equal(sound[..., 0] if kind == "gray" else sound, expected)
    damage(path, piece=1)
    with pytest.raises(ImageError, match="damaged TIFF"):
        read_image(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_slide_is_refused_where_it_is_damaged(tmp_path, kind):
    path = tmp_path / "a.tif"
    write(path, kind, tile=(128, 128))
    damage(path, piece=1)
    slide = open_slide(path)
    try:
        assert slide.read(np.s_[128:256, 0:512]).shape[:2] == (128, 512)  # other tiles
        with pytest.raises(ImageError, match="damaged TIFF"):
            slide.read(np.s_[0:128, 128:256])
    finally:
        slide.close()
