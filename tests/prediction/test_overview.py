"""The overview is the whole image, made smaller."""

from types import SimpleNamespace

import numpy as np
import pytest

from tiledseg.images.canvas import BAND
from tiledseg.prediction.overview import take_overview


@pytest.fixture
def overview_of():
    def take(pixels, labels, count, side):
        slide = SimpleNamespace(shape=pixels.shape, read=lambda region: pixels[region])
        bands = [labels[top : top + BAND] for top in range(0, len(labels), BAND)]
        return take_overview(slide, lambda: iter(bands), count, side)

    return take


@pytest.mark.parametrize(
    ("shape", "side", "factor"),
    [((40, 60), 64, 1), ((1300, 700), 700, 2), ((1029, 515), 129, 8), ((3, 5000), 40, 128)],
)
def test_means_of_squares(overview_of, shape, side, factor):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    found = overview_of(pixels, np.zeros(shape, np.uint8), 2, side)
    assert found.factor == factor
    assert max(found.image.shape) <= side
    rows, columns = shape[0] // factor, shape[1] // factor
    whole = pixels[: rows * factor, : columns * factor].astype(float)
    means = whole.reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3))
    assert np.abs(found.image[:rows, :columns] - means).max(initial=0) <= 0.51
    assert found.image.shape == (-(-shape[0] // factor), -(-shape[1] // factor), 3)
    assert found.labels.shape == found.image.shape[:2]


def test_the_commonest_label_is_shown(overview_of):
    """Blocks of 4 x 4: none, just over half, just under half, and the largest of three parts."""
    labels = np.zeros((4, 16), np.uint8)
    labels[:, 4:8].flat[:9] = 1
    labels[:, 8:12].flat[:7] = 1
    labels[:, 12:] = np.repeat([0, 1, 2], [5, 5, 6]).reshape(4, 4)
    found = overview_of(np.zeros((4, 16, 3), np.uint8), labels, 3, 4)
    assert found.labels.tolist() == [[0, 1, 0, 2]]


def test_small_images_stay_as_they_are(overview_of):
    rng = np.random.default_rng(2)
    pixels, labels = rng.integers(0, 256, (700, 90, 3), np.uint8), rng.integers(0, 3, (700, 90))
    found = overview_of(pixels, labels.astype(np.uint8), 3, 4096)
    np.testing.assert_array_equal(found.image, pixels)
    np.testing.assert_array_equal(found.labels, labels)
