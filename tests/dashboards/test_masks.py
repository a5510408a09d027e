"""Masks of one class and of several, as the pages read them."""

import numpy as np
import pytest

from dashboards.masks import holds_labels, read_probability
from dashboards.pictures import Picture
from dashboards.pyramids import open_pyramid
from dashboards.thumbnails import thumbnail
from tiledseg.images.writing import write_labels, write_mask, write_probability
from tiledseg.masks.classes import IGNORED

LABELS = np.zeros((40, 60), np.uint8)
LABELS[5:20, 5:25] = 1
LABELS[15:35, 30:50] = 2
LABELS[0, 0] = IGNORED


def test_one_class_is_shown_as_it_is_stored(tmp_path):
    probability = np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60)
    write_probability(tmp_path / "p.png", probability)
    write_mask(tmp_path / "m.png", LABELS == 1)
    assert not holds_labels(tmp_path / "p.png")
    assert np.abs(read_probability(tmp_path / "p.png") / 255 - probability).max() < 0.01
    assert np.array_equal(read_probability(tmp_path / "m.png"), (LABELS == 1) * np.uint8(255))


@pytest.mark.parametrize("label", [None, 0, 1, 2])
def test_several_classes_are_shown_together_or_one_alone(tmp_path, label):
    path = tmp_path / "l.png"
    write_labels(path, LABELS, 3)
    assert holds_labels(path)
    wanted = (LABELS == 1) | (LABELS == 2) if label is None else np.equal(LABELS, label)
    assert np.array_equal(read_probability(path, label), wanted * np.uint8(255))
    tile = open_pyramid(path, "mask", label=label).tile(0, 0, 0)
    assert np.array_equal(tile[1:-1, 1:-1], wanted * np.uint8(255))
    small = thumbnail(Picture(path, "mask", label=label))
    assert np.array_equal(small[..., 0] > 127, wanted)
