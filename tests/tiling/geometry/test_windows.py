import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.tiling.geometry.regions import ArraySource
from tiledseg.tiling.geometry.windows import read_window


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    top=st.integers(-20, 20),
    left=st.integers(-20, 20),
    rows=st.integers(1, 25),
    columns=st.integers(1, 25),
)
def test_a_window_is_cut_from_the_mirrored_image(height, width, top, left, rows, columns):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 2), np.uint8)
    mirrored = np.pad(image, ((60, 60), (60, 60), (0, 0)), mode="symmetric")
    window = slice(top, top + rows), slice(left, left + columns)
    expected = mirrored[60 + top : 60 + top + rows, 60 + left : 60 + left + columns]
    np.testing.assert_array_equal(read_window(ArraySource(image), window), expected)


@pytest.mark.parametrize("window", [(slice(0, 5), slice(2, 7)), (slice(3, 12), slice(4, 11))])
def test_no_more_is_read_than_is_mirrored(window):
    read = []

    class Source(ArraySource):
        def read(self, region):
            read.append(region)
            return super().read(region)

    read_window(Source(np.zeros((10, 8, 1), np.uint8)), window)
    ((rows, columns),) = read
    assert rows.start >= window[0].start
    assert columns.start >= window[1].start
