from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from tiledseg.errors import ImageError
from tiledseg.images.reading import image_shape, read_as_stored

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


class TestReadTiff:
    @pytest.mark.parametrize("layout", ["contig", "separate"])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_rgb_in_either_layout(
        self, tmp_path: Path, layout: str, compression: str | None
    ) -> None:
        path = tmp_path / "a.tif"
        pixels = RGB if layout == "contig" else np.moveaxis(RGB, -1, 0)
        tifffile.imwrite(
            path, pixels, photometric="rgb", planarconfig=layout, compression=compression
        )
        np.testing.assert_array_equal(read_as_stored(path), RGB)
        assert image_shape(path) == (37, 53)

    def test_tiles_of_sixteen_bits(self, tmp_path: Path) -> None:
        pixels = np.arange(70 * 90, dtype=np.uint16).reshape(70, 90)
        tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(32, 32))
        np.testing.assert_array_equal(read_as_stored(tmp_path / "a.tif"), pixels)

    def test_lzw_as_opencv_writes_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        cv2.imwrite(str(path), RGB[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
        np.testing.assert_array_equal(read_as_stored(path), RGB)

    def test_white_is_zero_is_turned_round(self, tmp_path: Path) -> None:
        gray = RGB[..., 0]
        tifffile.imwrite(tmp_path / "a.tif", 255 - gray, photometric="miniswhite")
        np.testing.assert_array_equal(read_as_stored(tmp_path / "a.tif"), gray)

    def test_the_larger_of_two_pages_counts(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(RGB, photometric="rgb")
            file.write(RGB[::2, ::2], photometric="rgb")
        np.testing.assert_array_equal(read_as_stored(tmp_path / "a.tif"), RGB)

    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("kept", [6, 200, 3000])
    def test_a_truncated_file_is_refused_in_silence(
        self, tmp_path: Path, compression: str | None, kept: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, RGB, photometric="rgb", compression=compression)
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(ImageError, match="truncated or damaged TIFF"):
            read_as_stored(path)
        assert capfd.readouterr().err == ""
