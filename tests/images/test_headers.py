import struct
import zlib

import cv2
import numpy as np
import pytest

from tiledseg.images.headers import FileHeader, inspect, kind_of, without_png_extras

IMAGE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


def encoded(suffix: str, image: np.ndarray = IMAGE, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def png_block(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def jpeg_with_thumbnail() -> bytes:
    """A JPEG whose EXIF segment holds a whole JPEG, as cameras write it."""
    thumbnail = b"Exif\0\0" + encoded(".jpg", IMAGE[::4, ::4])
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = encoded(".jpg")
    return data[:2] + segment + data[2:]


RESIZED = {
    "jpeg": encoded(".jpg"),
    "progressive": encoded(".jpg", IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encoded(".jpg", IMAGE, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "thumbnail": jpeg_with_thumbnail(),
    "gray": encoded(".jpg", IMAGE[..., 0]),
    "png": encoded(".png"),
    "bmp": encoded(".bmp"),
    "gray bmp": encoded(".bmp", IMAGE[..., 0]),
}


class TestInspect:
    @pytest.mark.parametrize("name", RESIZED)
    def test_size_of_whole_files(self, name: str) -> None:
        found = inspect(RESIZED[name])
        assert (found.height, found.width) == (37, 53)
        assert found.kind == kind_of(RESIZED[name])

    @pytest.mark.parametrize("name", RESIZED)
    @pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, 0.99])
    def test_a_truncated_file_is_refused(self, name: str, kept: float) -> None:
        data = RESIZED[name]
        with pytest.raises(ValueError, match="truncated"):
            inspect(data[: int(len(data) * kept)])

    @pytest.mark.parametrize("name", RESIZED)
    def test_any_cut_is_refused_and_never_a_crash(self, name: str) -> None:
        data = RESIZED[name]
        for length in range(0, len(data) - 2, 7):
            with pytest.raises(ValueError, match=r"truncated|not a JPEG|claims an empty"):
                inspect(data[:length])

    def test_bytes_after_the_end_do_no_harm(self) -> None:
        assert inspect(RESIZED["jpeg"] + b"trailer").width == 53
        assert inspect(RESIZED["png"] + b"trailer").width == 53

    def test_a_flipped_byte_in_a_png_is_found(self) -> None:
        data = bytearray(RESIZED["png"])
        data[1000] ^= 1
        with pytest.raises(ValueError, match="damaged PNG"):
            inspect(bytes(data))

    def test_an_empty_picture_is_refused(self) -> None:
        header = struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)
        data = RESIZED["png"][:8] + png_block(b"IHDR", header) + png_block(b"IEND", b"")
        with pytest.raises(ValueError, match="0 x 5"):
            inspect(data)

    def test_text_is_none_of_them(self) -> None:
        with pytest.raises(ValueError, match="not a JPEG, PNG, BMP or TIFF"):
            inspect(b"once upon a time")

    def test_tiff_is_only_recognized(self) -> None:
        assert inspect(encoded(".tif")[:16]) == FileHeader("tiff")

    def test_a_bottom_up_and_a_top_down_bmp_are_as_high(self) -> None:
        data = bytearray(RESIZED["bmp"])
        data[22:26] = struct.pack("<i", -37)
        assert inspect(bytes(data)).height == 37


class TestWithoutPngExtras:
    def test_pixels_stay_and_profiles_go(self, capfd: pytest.CaptureFixture[str]) -> None:
        data = RESIZED["png"]
        profile = png_block(b"iCCP", b"bad\0\0" + zlib.compress(b"x" * 40))
        gamma = png_block(b"gAMA", struct.pack(">I", 20000))
        plain = without_png_extras(data[:33] + profile + gamma + data[33:])
        assert plain == data
        assert without_png_extras(data) is data, "nothing is copied"
        pixels = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(pixels, IMAGE)
        assert capfd.readouterr().err == ""
