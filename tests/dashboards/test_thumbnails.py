"""Thumbnails look the same whether they come from the files or from pyramids."""

import cv2
import numpy as np
import pytest

from dashboards import thumbnails
from dashboards.pictures import Picture
from dashboards.pyramids import find_pyramid, open_pyramid
from dashboards.thumbnails import thumbnail
from tiledseg.data.synthetic.smear import draw_smear
from tiledseg.images.writing import write_image


@pytest.fixture
def picture(tmp_path, monkeypatch):
    """A mask on its image, against its target; 1,400 pixels wide."""
    monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "cache"))
    thumbnails._decode.cache_clear()
    image, target = draw_smear(5, 1400)
    soft = cv2.GaussianBlur(target.astype(np.uint8) * 255, (0, 0), 4)
    layers = {"image": image, "target": target.astype(np.uint8) * 255, "mask": soft}
    for name, pixels in layers.items():
        write_image(tmp_path / f"{name}.png", pixels)
    files = [tmp_path / f"{name}.png" for name in ("mask", "image", "target")]
    return Picture(files[0], "mask", files[1], files[2])


def test_from_files_and_from_pyramids_it_is_the_same_picture(picture):
    from_files = thumbnail(picture).astype(int)
    thumbnails._decode.cache_clear()
    for path, kind in ((picture.path, "mask"), (picture.under, "image"), (picture.against, "mask")):
        assert find_pyramid(path, kind) is None
        open_pyramid(path, kind)
    from_pyramids = thumbnail(picture).astype(int)
    assert from_files.shape == from_pyramids.shape
    difference = np.abs(from_files - from_pyramids)
    assert difference.mean() < 1.0
    assert np.percentile(difference, 99) < 16
