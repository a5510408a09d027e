"""Values of any depth become 8 bits, and a picture that uses a part of them is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from tiledseg.errors import ImageError
from tiledseg.images.bit_depth import bits_remedy, scale_to_8_bits, unused_bits_fault
from tiledseg.images.opening import open_slide
from tiledseg.images.reading import read_image

GRAY = np.random.default_rng(0).integers(0, 256, (37, 53), dtype=np.uint8)


@pytest.mark.parametrize("bits", range(1, 17))
def test_the_largest_value_is_white_and_rounding_is_even_handed(bits: int) -> None:
    values = np.arange(2**bits).astype(np.uint8 if bits <= 8 else np.uint16)
    expected = np.floor(values.astype(np.float64) * 255 / (2**bits - 1) + 0.5)
    np.testing.assert_array_equal(scale_to_8_bits(values, bits), expected)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}])
def test_a_setting_says_how_many_bits_a_camera_has(tmp_path: Path, bits: int, layout: dict) -> None:
    path = tmp_path / "a.tif"
    values = (GRAY.astype(np.uint32) * (2**bits - 1) + 127) // 255
    tifffile.imwrite(path, values.astype(np.uint16), photometric="minisblack", **layout)
    dark = read_image(path)[..., 0]
    assert dark.max() <= 255 >> (15 - bits)
    np.testing.assert_array_equal(read_image(path, bit_depth=bits)[..., 0], GRAY)
    slide = open_slide(path, bits)
    np.testing.assert_array_equal(slide.read(np.s_[0:37, 0:53])[..., 0], GRAY)
    assert (slide.largest, slide.bits) == (values.max(), bits)
    slide.close()
    with pytest.raises(ImageError, match=rf"a\.tif: holds the value .* image\.bit_depth to {bits}"):
        read_image(path, bit_depth=bits - 1)


def test_files_of_8_bits_are_left_alone(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), GRAY)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", bit_depth=12)[..., 0], GRAY)


def test_what_uses_a_quarter_of_its_range_is_not_named() -> None:
    assert unused_bits_fault(2**14, 16) is None
    assert "largest value is 16383 of 65535" in str(unused_bits_fault(2**14 - 1, 16))
    assert unused_bits_fault(0, 1) is None
    assert "(12?)" in bits_remedy(4095, 16)
    assert "(14?)" in bits_remedy(4096, 16)
