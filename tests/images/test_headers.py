"""What files hold, told by their headers; cut and damaged files are found."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from tiledseg.errors import ImageError
from tiledseg.images.formats.png import strip_png
from tiledseg.images.headers import Header, kind_of
from tiledseg.images.parsing import parse_header
from tiledseg.images.reading import read_header, read_image

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


FILES = {
    "jpeg": encoded(".jpg"),
    "progressive": encoded(".jpg", IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encoded(".jpg", IMAGE, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "thumbnail": jpeg_with_thumbnail(),
    "gray": encoded(".jpg", IMAGE[..., 0]),
    "png": encoded(".png"),
    "bmp": encoded(".bmp"),
    "gray bmp": encoded(".bmp", IMAGE[..., 0]),
}
GRAY, COLOR = np.zeros((5, 7), np.uint8), np.zeros((5, 7, 3), np.uint8)
ALPHA = np.zeros((5, 7, 4), np.uint8)


class TestParseHeader:
    @pytest.mark.parametrize("name", FILES)
    def test_size_of_whole_files(self, name: str) -> None:
        found = parse_header(FILES[name])
        assert (found.height, found.width) == found.shape == (37, 53)
        assert found.kind == kind_of(FILES[name])

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, 0.99])
    def test_a_truncated_file_is_refused(self, name: str, kept: float) -> None:
        data = FILES[name]
        with pytest.raises(ValueError, match="truncated"):
            parse_header(data[: int(len(data) * kept)])

    @pytest.mark.parametrize("name", FILES)
    def test_any_cut_is_refused_and_never_a_crash(self, name: str) -> None:
        data = FILES[name]
        for length in range(0, len(data) - 2, 7):
            with pytest.raises(ValueError, match=r"truncated|not a JPEG|claims an empty"):
                parse_header(data[:length])

    def test_bytes_after_the_end_do_no_harm(self) -> None:
        assert parse_header(FILES["jpeg"] + b"trailer").width == 53
        assert parse_header(FILES["png"] + b"trailer").width == 53

    def test_a_flipped_byte_in_a_png_is_found(self) -> None:
        data = bytearray(FILES["png"])
        data[1000] ^= 1
        with pytest.raises(ValueError, match="damaged PNG"):
            parse_header(bytes(data))

    def test_an_empty_picture_is_refused(self) -> None:
        header = struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)
        data = FILES["png"][:8] + png_block(b"IHDR", header) + png_block(b"IEND", b"")
        with pytest.raises(ValueError, match="0 x 5"):
            parse_header(data)

    def test_text_is_none_of_them(self) -> None:
        with pytest.raises(ValueError, match="not a JPEG, PNG, BMP or TIFF"):
            parse_header(b"once upon a time")

    def test_a_bottom_up_and_a_top_down_bmp_are_as_high(self) -> None:
        data = bytearray(FILES["bmp"])
        data[22:26] = struct.pack("<i", -37)
        assert parse_header(bytes(data)).height == 37

    @pytest.mark.parametrize(
        ("suffix", "pixels", "channels", "bits", "alpha"),
        [
            (".png", GRAY, 1, 8, False),
            (".png", COLOR, 3, 8, False),
            (".png", ALPHA, 4, 8, True),
            (".png", COLOR.astype(np.uint16), 3, 16, False),
            (".jpg", GRAY, 1, 8, False),
            (".jpg", COLOR, 3, 8, False),
            (".bmp", GRAY, 1, 8, False),
            (".bmp", COLOR, 3, 8, False),
            (".bmp", ALPHA, 4, 8, True),
        ],
    )
    def test_channels_and_bits_of_files_by_opencv(
        self, suffix: str, pixels: np.ndarray, channels: int, bits: int, alpha: bool
    ) -> None:
        found = parse_header(encoded(suffix, pixels))
        assert found == Header(found.kind, 5, 7, channels, bits, alpha=alpha)

    @pytest.mark.parametrize("kind", ["PNG", "BMP"])
    def test_palettes(self, kind: str) -> None:
        image = Image.fromarray(GRAY)
        image.putpalette([0, 0, 0, 200, 0, 0])
        file = BytesIO()
        image.save(file, kind)
        assert parse_header(file.getvalue()) == Header(kind.lower(), 5, 7, 3, 8, palette=True)

    @pytest.mark.parametrize("mode", ["1", "L"])
    def test_gray_files_of_few_bits(self, mode: str) -> None:
        file = BytesIO()
        Image.fromarray(GRAY).convert(mode).save(file, "PNG")
        assert parse_header(file.getvalue()).bits == {"1": 1, "L": 8}[mode]

    def test_a_bmp_of_32_bits_has_alpha_only_where_it_says_so(self) -> None:
        sizes = struct.pack("<IiiHHIIiiII", 40, 7, 5, 1, 32, 0, 0, 0, 0, 0, 0)
        data = struct.pack("<2sIHHI", b"BM", 54 + 140, 0, 0, 54) + sizes + bytes(140)
        assert parse_header(data) == Header("bmp", 5, 7, 3, 8)
        with pytest.raises(ValueError, match="truncated BMP"):
            parse_header(data[:-1])

    @pytest.mark.parametrize("place", [8, 33])
    def test_a_png_has_one_header_and_begins_with_it(self, place: int) -> None:
        """One reader believes the first, another the last: a limit would look at the wrong one."""
        small = png_block(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        data = FILES["png"]
        with pytest.raises(ValueError, match=r"damaged PNG \(it has two headers\)"):
            parse_header(data[:place] + small + data[place:])
        text = png_block(b"tEXt", b"key\0" + bytes(40))
        with pytest.raises(ValueError, match=r"damaged PNG \(its first block is no header\)"):
            parse_header(data[:8] + text + data[8:])

    @pytest.mark.parametrize(
        "block",
        [
            png_block(b"iCCP", b"no profile"),
            png_block(b"pHYs", b"short"),
            png_block(b"zTXt", b"key\0\0" + zlib.compress(bytes(2**21))),
        ],
    )
    def test_what_stands_beside_the_pixels_of_a_png_refuses_none(
        self, tmp_path: Path, block: bytes
    ) -> None:
        data = FILES["png"]
        (tmp_path / "a.png").write_bytes(data[:33] + block + data[33:])
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), IMAGE[..., ::-1])

    @pytest.mark.parametrize("side", [20_000, 40_000])
    def test_a_bmp_that_claims_too_much_is_an_error_and_no_warning(
        self, tmp_path: Path, side: int, recwarn: pytest.WarningsRecorder
    ) -> None:
        data = bytearray(FILES["bmp"])
        data[18:26] = struct.pack("<ii", side, side)
        (tmp_path / "a.bmp").write_bytes(data)
        with pytest.raises(ImageError, match="truncated BMP"):
            read_header(tmp_path / "a.bmp")
        assert not recwarn.list


class TestReadHeader:
    def test_tiff(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.zeros((3, 5, 7), np.uint16), photometric="minisblack")
        assert read_header(path) == Header("tiff", 5, 7, 1, 16, pages=3)
        tifffile.imwrite(path, ALPHA, photometric="rgb", extrasamples=["unassalpha"])
        assert read_header(path) == Header("tiff", 5, 7, 4, 8, alpha=True)
        tifffile.imwrite(path, GRAY, photometric="palette", colormap=np.zeros((3, 256), np.uint16))
        assert read_header(path) == Header("tiff", 5, 7, 3, 8, palette=True)

    @pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"II*\x00nothing"])
    def test_what_is_no_image(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "a.png").write_bytes(data)
        with pytest.raises(ImageError, match=r"a\.png: .*export it again"):
            read_header(tmp_path / "a.png")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"missing\.png: does not exist; check the path"):
            read_header(tmp_path / "missing.png")


class TestDamagedJpeg:
    """What libjpeg only warns of, and fills with gray or noise, is refused."""

    @pytest.mark.parametrize("name", ["jpeg", "progressive", "restarts", "thumbnail", "gray"])
    @pytest.mark.parametrize("place", [0.5, 0.7])
    def test_zeros_and_end_markers(self, tmp_path: Path, name: str, place: float) -> None:
        data, path = FILES[name], tmp_path / "a.jpg"
        start = int(len(data) * place)
        zeroed = data[:start] + bytes(120) + data[start + 120 :]
        for damaged in (zeroed, data[:start] + b"\xff\xd9"):
            path.write_bytes(damaged)
            with pytest.raises(ImageError, match=r"a\.jpg: is a damaged JPEG"):
                read_image(path)
        path.write_bytes(data)
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(read_image(path), expected[..., ::-1])

    def test_inks_are_read_as_opencv_reads_them(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        Image.fromarray(IMAGE).convert("CMYK").save(path)
        np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[..., ::-1])


class TestStripPng:
    def test_pixels_stay_and_profiles_go(self, capfd: pytest.CaptureFixture[str]) -> None:
        data = FILES["png"]
        profile = png_block(b"iCCP", b"bad\0\0" + zlib.compress(b"x" * 40))
        gamma = png_block(b"gAMA", struct.pack(">I", 20000))
        plain = strip_png(data[:33] + profile + gamma + data[33:])
        assert plain == data
        assert strip_png(data) is data, "nothing is copied"
        pixels = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(pixels, IMAGE)
        assert capfd.readouterr().err == ""
