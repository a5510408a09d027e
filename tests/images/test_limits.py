"""What a header claims is looked at before anything is decoded, and it is what is decoded."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from tiledseg.errors import ImageError
from tiledseg.images import decoding
from tiledseg.images.headers import Header
from tiledseg.images.limits import LimitError, require_fit, require_piece, require_substance
from tiledseg.images.opening import open_slide
from tiledseg.images.reading import read_as_stored, read_header, read_image, read_mask, read_pages

READERS = (read_image, read_mask, read_as_stored, read_pages)


class TestLimits:
    def test_pictures_that_fit(self) -> None:
        require_fit(Header("png", 2**15, 2**15, 4, 8))
        require_fit(Header("png", 2**15, 2**15, 1, 16))
        require_piece(2**28)
        require_substance(Header("png", 8000, 8000, 1, 8), 10)
        require_substance(Header("png", 30_000, 30_000, 3, 8), 1_000_000)

    @pytest.mark.parametrize(
        ("header", "words"),
        [
            (Header("png", 2**15, 2**15 + 1, 1, 8), "more than 1073741824 in all; cut it"),
            (Header("png", 2**15, 2**15, 3, 16), "3 x 16 bits, which are 6.4 GB, more than 4.3"),
            (Header("zarr", 25_000, 25_000, 1, 64, type="float64"), "1 x 64 bits, which are 5.0"),
            (Header("tiff", 10_000, 10_000, 64, 16), "64 x 16 bits, which are 12.8 GB"),
        ],
    )
    def test_pictures_that_do_not(self, header: Header, words: str) -> None:
        with pytest.raises(LimitError, match=words):
            require_fit(header)

    def test_pages_count_together(self) -> None:
        header = Header("tiff", 10_000, 10_000, 1, 8, pages=50)
        require_fit(header)
        with pytest.raises(LimitError, match=r"on 50 pages, which are 5.0 GB"):
            require_fit(header, header.pages)

    def test_a_palette_is_decoded_to_colors(self) -> None:
        assert Header("png", 10, 10, 3, 8, palette=True).decoded_bytes == 400
        assert Header("png", 10, 10, 2, 16).decoded_bytes == 800

    def test_a_file_is_too_short_for_its_picture(self) -> None:
        with pytest.raises(LimitError, match=r"30000 x 30000 pixels in 999 bytes.*; export it"):
            require_substance(Header("png", 30_000, 30_000, 3, 8), 999)


def block(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def refuse(path: Path, words: str) -> None:
    for read in READERS:
        with pytest.raises(ImageError, match=words) as told:
            read(path)
        assert str(told.value).startswith(f"{path}: ")


class TestKnownBombs:
    def test_a_second_header_of_a_jpeg(self, tmp_path: Path) -> None:
        data = cv2.imencode(".jpg", np.zeros((10, 10, 3), np.uint8))[1].tobytes()
        start = data.index(b"\xff\xc0")
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        large = data[start : start + 5] + struct.pack(">HH", 32_000, 32_000) + data[start + 9 : end]
        for headers in (large + data[start:end], data[start:end] + large):
            (tmp_path / "a.jpg").write_bytes(data[:start] + headers + data[end:])
            refuse(tmp_path / "a.jpg", "damaged JPEG .it has two headers")

    def test_text_before_the_header_of_a_png(self, tmp_path: Path) -> None:
        text = block(b"tEXt", struct.pack(">IIBB", 100, 100, 8, 2) + b"\0")
        header = block(b"IHDR", struct.pack(">IIBBBBB", 32_000, 32_000, 8, 2, 0, 0, 0))
        body = block(b"IDAT", zlib.compress(b"0")) + block(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + text + header + body)
        refuse(tmp_path / "a.png", "its first block is no header")

    @pytest.mark.parametrize("side", [8000, 1000])
    def test_many_samples_of_a_tiff(self, tmp_path: Path, side: int) -> None:
        path = tmp_path / "a.tif"
        pixels = np.zeros((8, 8, 64), np.uint16)
        tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
        with tifffile.TiffFile(path, mode="r+") as file:
            tags = file.pages[0].tags
            for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                tags[name].overwrite(side)
            tags["StripByteCounts"].overwrite(0)
        refuse(path, "64 x 16 bits|holds 0; copy it again" if side > 1000 else "64|holds 0")

    def test_floating_point_in_a_store(self, tmp_path: Path) -> None:
        group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
        group.create_array("0", shape=(20_000, 20_000), chunks=(512, 512), dtype="f8")
        axes = [{"name": "y"}, {"name": "x"}]
        group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
        for read in (read_image, read_mask):
            with pytest.raises(ImageError, match="holds float64 pixels; save it with 8 or 16 bits"):
                read(tmp_path / "a.zarr")

    def test_what_is_decoded_is_what_was_claimed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cv2.imwrite(str(tmp_path / "a.webp"), np.zeros((10, 12, 3), np.uint8))
        assert read_image(tmp_path / "a.webp").shape == (10, 12, 3)
        other = np.zeros((10, 13, 3), np.uint8)
        monkeypatch.setitem(decoding._CODECS, "webp", lambda _: other)
        with pytest.raises(ImageError, match="it claims 12 x 10 pixels and holds 13 x 10"):
            read_image(tmp_path / "a.webp")

    def test_memory_that_is_not_there_is_no_damage(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: bytes) -> None:
            raise MemoryError

        cv2.imwrite(str(tmp_path / "a.webp"), np.zeros((10, 12, 3), np.uint8))
        monkeypatch.setitem(decoding._CODECS, "webp", fail)
        with pytest.raises(
            ImageError, match=r"takes 0.0 GB of memory, which are not there; cut it"
        ):
            read_image(tmp_path / "a.webp")


class TestFilesThatAreLong:
    @pytest.mark.parametrize("head", [b"once upon a time", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
    def test_are_not_read_to_their_end(self, tmp_path: Path, head: bytes) -> None:
        path = tmp_path / "a.png"
        with path.open("wb") as file:
            file.write(head)
            file.truncate(2**40)
        refuse(path, "at most 4.3 are read|is not a JPEG")

    def test_frames_of_a_film_but_the_first_are_not_decoded(self, tmp_path: Path) -> None:
        picture = np.random.default_rng(0).integers(0, 9, (8, 9), np.uint8)
        data = imagecodecs.gif_encode(picture)
        far = struct.pack("<BHHHHB", 0x2C, 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x4c\x01\x00"
        (tmp_path / "a.gif").write_bytes(data[:-1] + far + b";")
        assert read_header(tmp_path / "a.gif") == Header("gif", 8, 9, 3, 8, palette=True, pages=2)
        np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[..., 0], picture)


class TestOtherFiles:
    def test_a_tiff_is_what_its_own_file_holds(self, tmp_path: Path) -> None:
        """OME-XML may name other files; tifffile would read them."""
        secret, shown = np.full((16, 16), 200, np.uint8), np.full((16, 16), 7, np.uint8)
        tifffile.imwrite(tmp_path / "secret.ome.tif", secret)
        text = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
            '<Image ID="Image:0"><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="16" SizeY="16" '
            'SizeZ="1" SizeC="1" SizeT="1"><TiffData IFD="0" PlaneCount="1">'
            '<UUID FileName="secret.ome.tif">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
        )
        path = tmp_path / "a.ome.tif"
        tifffile.imwrite(path, shown, description=text, metadata=None, ome=False)
        assert read_image(path).max() == 7
        slide = open_slide(path)
        assert slide.read((slice(0, 16), slice(0, 16))).max() == 7
        slide.close()


def test_a_store_of_a_pipe(tmp_path: Path) -> None:
    import os

    for name in (".zattrs", "0/.zarray", "0/0.0"):
        path = tmp_path / f"{name.replace('/', '')}.zarr"
        group = zarr.open_group(path, mode="w", zarr_format=2)
        group.create_array("0", shape=(8, 8), chunks=(8, 8), dtype="u1")[...] = 1
        axes = [{"name": "y"}, {"name": "x"}]
        group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
        assert read_image(path).max() == 1
        assert json.loads((path / ".zattrs").read_text())
        (path / name).unlink()
        os.mkfifo(path / name)
        for read in (read_image, open_slide):
            with pytest.raises(ImageError, match=r"is a pipe|is no file"):
                read(path)
