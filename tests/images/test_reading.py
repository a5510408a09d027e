import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tiledseg.errors import ImageError
from tiledseg.images.content import IMAGE_SUFFIXES
from tiledseg.images.reading import image_shape, list_images, read_image, read_mask
from tiledseg.images.writing import WRITTEN_SUFFIXES

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
GRAY = RGB[..., 0].copy()
LOSSLESS = (".png", ".bmp", ".tif", ".tiff")


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    """Write RGB(A) or gray with OpenCV, which wants BGR(A)."""
    swapped = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    assert cv2.imwrite(str(path), swapped)
    return path


def stored(path: Path) -> NDArray[np.uint8]:
    """The file as OpenCV, and so the scoring tool, reads it."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels)


def huge_png(path: Path, side: int) -> Path:
    """A PNG of a few bytes that claims side x side pixels."""

    def block(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = block(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    body = block(b"IDAT", zlib.compress(b"0")) + block(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    return path


def truncated_camera_jpeg(path: Path) -> Path:
    """Half a JPEG whose EXIF thumbnail is whole, so an end marker is in the file."""
    whole = cv2.imencode(".jpg", RGB)[1].tobytes()
    thumbnail = b"Exif\0\0" + cv2.imencode(".jpg", RGB[::4, ::4])[1].tobytes()
    assert b"\xff\xd9" in thumbnail
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    path.write_bytes(whole[:2] + segment + whole[2 : len(whole) // 2])
    return path


class TestReadImage:
    @pytest.mark.parametrize("suffix", LOSSLESS)
    def test_color_comes_back_as_rgb(self, tmp_path: Path, suffix: str) -> None:
        image = read_image(save(tmp_path / f"a{suffix}", RGB))
        np.testing.assert_array_equal(image, RGB)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous

    def test_jpeg_is_rgb_too(self, tmp_path: Path) -> None:
        red = np.zeros((16, 16, 3), np.uint8)
        red[..., 0] = 200
        image = read_image(save(tmp_path / "a.JPG", red))
        assert image[8, 8, 0] > 190
        assert image[8, 8, 2] < 10

    @pytest.mark.parametrize("suffix", LOSSLESS)
    def test_gray_becomes_color_and_back(self, tmp_path: Path, suffix: str) -> None:
        path = save(tmp_path / f"a{suffix}", GRAY)
        np.testing.assert_array_equal(read_image(path), np.dstack([GRAY] * 3))
        np.testing.assert_array_equal(read_image(path, 1), GRAY[..., None])

    def test_color_becomes_gray(self, tmp_path: Path) -> None:
        image = read_image(save(tmp_path / "a.png", RGB), 1)
        luma = RGB @ np.array([0.299, 0.587, 0.114])
        assert image.shape == (37, 53, 1)
        assert np.abs(image[..., 0] - luma).max() <= 1.0

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_alpha_is_dropped(self, tmp_path: Path, suffix: str) -> None:
        path = save(tmp_path / f"a{suffix}", np.dstack([RGB, GRAY]))
        np.testing.assert_array_equal(read_image(path), RGB)

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("pixels", [RGB, GRAY], ids=["rgb", "gray"])
    def test_sixteen_bits_become_eight(
        self, tmp_path: Path, suffix: str, pixels: NDArray[np.uint8]
    ) -> None:
        path = save(tmp_path / f"a{suffix}", pixels.astype(np.uint16) * 257)
        expected = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
        np.testing.assert_array_equal(read_image(path), expected)

    def test_sixteen_bits_are_rounded(self, tmp_path: Path) -> None:
        values = np.array([[0, 128, 129, 385, 386, 65406, 65407, 65535]], np.uint16)
        image = read_image(save(tmp_path / "a.png", values), 1)
        assert image[0, :, 0].tolist() == [0, 0, 1, 1, 2, 254, 255, 255]

    def test_orientation_is_obeyed_as_viewers_obey_it(self, tmp_path: Path) -> None:
        data = cv2.imencode(".jpg", RGB)[1].tobytes()
        entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)  # turn by 90 degrees
        exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + b"\0" * 4
        segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
        path = tmp_path / "a.jpg"
        path.write_bytes(data[:2] + segment + data[2:])
        turned = cv2.imread(str(path))
        assert turned is not None
        assert turned.shape[:2] == (53, 37)
        np.testing.assert_array_equal(read_image(path), turned[..., ::-1])
        assert image_shape(path) == (53, 37)

    def test_one_bit_tiff(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", GRAY > 127, photometric="minisblack")
        assert set(np.unique(read_image(tmp_path / "a.tif"))) == {0, 255}

    def test_kind_is_told_by_content_and_not_by_name(self, tmp_path: Path) -> None:
        save(tmp_path / "a.png", RGB).rename(tmp_path / "a.tif")
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), RGB)


class TestRefusedFiles:
    def check(self, path: Path, *words: str) -> None:
        for read in (read_image, read_mask, image_shape):
            with pytest.raises(ImageError) as caught:
                read(path)
            message = str(caught.value)
            assert message.startswith(f"{path}: ")
            assert "\n" not in message
            assert "; " in message
            assert all(word in message for word in words), message

    def test_missing(self, tmp_path: Path) -> None:
        self.check(tmp_path / "no.png", "does not exist")

    def test_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").mkdir()
        self.check(tmp_path / "a.png", "cannot be read")

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").touch()
        self.check(tmp_path / "a.png", "is empty")

    @pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
    def test_text(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / f"a{suffix}").write_text("not a picture")
        self.check(tmp_path / f"a{suffix}", "not a JPEG, PNG, BMP or TIFF")

    def test_suffix(self, tmp_path: Path) -> None:
        save(tmp_path / "a.png", RGB).rename(tmp_path / "a.psd")
        self.check(tmp_path / "a.psd", "'.psd'", ".png")

    def test_a_scanners_suffix_without_a_tiff_inside(self, tmp_path: Path) -> None:
        save(tmp_path / "a.png", RGB).rename(tmp_path / "a.svs")
        self.check(tmp_path / "a.svs", "'.svs'", "no TIFF inside")

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".tif"])
    def test_truncated(
        self, tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = save(tmp_path / f"a{suffix}", RGB)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.check(path, "truncated")
        assert capfd.readouterr() == ("", "")

    def test_truncated_jpeg_with_a_whole_thumbnail(self, tmp_path: Path) -> None:
        self.check(truncated_camera_jpeg(tmp_path / "a.jpg"), "truncated JPEG", "end marker")

    @pytest.mark.parametrize("side", [40_000, 2_000_000])
    def test_absurd_size(self, tmp_path: Path, side: int) -> None:
        self.check(huge_png(tmp_path / "a.png", side), f"{side} x {side} pixels", "cut it")

    def test_absurd_size_of_a_tiff(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, RGB, photometric="rgb")
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags["ImageWidth"].overwrite(10**6)
            file.pages[0].tags["ImageLength"].overwrite(10**6)
        self.check(path, "1000000 x 1000000")

    def test_float_pixels(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", GRAY.astype(np.float32))
        with pytest.raises(ImageError, match=r"a.tif: holds float32 pixels; save it with 8 or 16"):
            read_image(tmp_path / "a.tif")

    def test_many_channels(self, tmp_path: Path) -> None:
        pixels = np.zeros((8, 9, 7), np.uint8)
        tifffile.imwrite(
            tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig"
        )
        with pytest.raises(ImageError, match="holds 7 channels"):
            read_image(tmp_path / "a.tif")

    def test_limits_of_opencv_are_told_as_ours(self, tmp_path: Path) -> None:
        """A row of 2**21 pixels is under our limit, over OpenCV's for one side."""
        path = tmp_path / "a.bmp"
        width = 2**21
        header = struct.pack("<2sIHHI", b"BM", 54 + width, 0, 0, 54)
        header += struct.pack("<IiiHHIIiiII", 40, width, 1, 1, 24, 0, 0, 0, 0, 0, 0)
        path.write_bytes(header + bytes(3 * width))
        with pytest.raises(ImageError, match="cannot be decoded"):
            read_image(path)


class TestReadMask:
    def test_brightest_channel_decides(self, tmp_path: Path) -> None:
        mask = np.zeros((4, 5, 3), np.uint8)
        mask[1, 1, 1], mask[2, 2, 0], mask[3, 3, 2] = 128, 127, 255
        found = read_mask(save(tmp_path / "a.png", mask))
        assert found.dtype == np.bool_
        assert np.argwhere(found).tolist() == [[1, 1], [3, 3]]

    def test_threshold(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.png", np.array([[0, 1, 2]], np.uint8))
        assert read_mask(path, 0).tolist() == [[False, True, True]]
        assert read_mask(path, 1).tolist() == [[False, False, True]]

    def test_alpha_is_no_foreground(self, tmp_path: Path) -> None:
        opaque = np.dstack([np.zeros((4, 5, 3), np.uint8), np.full((4, 5), 255, np.uint8)])
        assert not read_mask(save(tmp_path / "a.png", opaque)).any()

    def test_sixteen_bits_are_judged_on_the_scale_of_eight(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.png", np.array([[127 * 257, 128 * 257]], np.uint16))
        assert read_mask(path).tolist() == [[False, True]]

    @pytest.mark.parametrize("color", [True, False])
    def test_decodes_as_the_scoring_tool_does(self, tmp_path: Path, color: bool) -> None:
        path = save(tmp_path / "a.jpg", RGB if color else GRAY)
        pixels = stored(path)
        value = pixels[..., :3].max(axis=-1) if pixels.ndim == 3 else pixels
        np.testing.assert_array_equal(read_mask(path), value > 127)


class TestImageShape:
    @pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
    def test_height_first(self, tmp_path: Path, suffix: str) -> None:
        assert image_shape(save(tmp_path / f"a{suffix}", RGB)) == (37, 53)

    def test_nothing_is_decoded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = save(tmp_path / "a.png", RGB)
        monkeypatch.setattr(cv2, "imdecode", None)
        assert image_shape(path) == (37, 53)


class TestListImages:
    def test_sorted_without_hidden_and_other_files(self, tmp_path: Path) -> None:
        for name in ("b.PNG", "a.jpeg", ".hidden.png", "._a.jpeg", "notes.txt", "c.tiff"):
            (tmp_path / name).touch()
        (tmp_path / "folder.png").mkdir()
        assert [path.name for path in list_images(tmp_path)] == ["a.jpeg", "b.PNG", "c.tiff"]

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="no: cannot be listed"):
            list_images(tmp_path / "no")
