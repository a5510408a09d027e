"""A hundred bad files: each is refused with words that help, and the next good one is taken."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from dashboards import uploads
from dashboards.uploads import UploadFolder
from tiledseg.errors import ImageError

GOOD = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
FORMATS = (".png", ".jpg", ".bmp", ".tif", ".webp", ".jp2")


def encoded(suffix):
    return cv2.imencode(suffix, GOOD)[1].tobytes()


def bomb(width, height):
    """A PNG that claims far more than it weighs."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000 * 1000), 9)
    return b"".join(
        (b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


def bad_files():
    """Name to content, and a word of the message."""
    rng = np.random.default_rng(2)
    files = [
        ("empty.png", b"", "empty"),
        ("text.png", b"these are words, not pixels\n" * 50, "no JPEG, PNG"),
        ("page.jpg", b"<!doctype html><html></html>", "no JPEG, PNG"),
        ("drawing.svg", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        ("drawing.png", b'<svg onload="alert(1)"></svg>', "SVG"),
        ("film.gif", b"GIF89a" + bytes(500), "GIF"),
        ("film.png", b"GIF89a" + bytes(500), "GIF"),
        ("picture.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "WebP"),
        ("paper.pdf", b"%PDF-1.7\n", "PDF"),
        ("slides.zip", b"PK\x03\x04" + bytes(40), "ZIP"),
        ("wide.png", bomb(20_000, 20_000), "pixels"),
        ("wider.png", bomb(60_000, 60_000), "pixels"),
        ("line.png", bomb(2**31 - 1, 1), "pixels"),
        ("none.png", bomb(0, 0), "empty picture"),
    ]
    for suffix in FORMATS:
        whole = encoded(suffix)
        for share in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95):
            files.append((f"cut{share}{suffix}", whole[: int(len(whole) * share)], ""))
        files.append((f"head{suffix}", whole[:16], ""))
    whole = encoded(".png")
    for place in range(60, 260, 20):  # a flipped byte breaks a checksum
        files.append(
            (
                f"flip{place}.png",
                whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :],
                "damaged",
            )
        )
    for number in range(100 - len(files)):
        files.append((f"noise{number}.png", rng.bytes(10 + 97 * number), "no JPEG, PNG"))
    return files


BAD = bad_files()


def test_there_are_a_hundred():
    assert len(BAD) == 100


def test_each_bad_file_gets_a_clear_message_and_a_good_one_follows():
    folder = UploadFolder()
    for name, data, words in BAD:
        with pytest.raises(ImageError) as told:
            folder.accept(name, data)
        message = str(told.value)
        assert message.startswith(f"{name}: "), message
        assert words in message, (name, message)
        assert str(folder.path) not in message
        assert "Traceback" not in message
        assert list(folder.path.iterdir()) == []
    upload = folder.accept("good.png", encoded(".png"))
    assert (upload.height, upload.width) == (60, 80)
    folder.close()


@pytest.mark.parametrize("suffix", FORMATS)
def test_good_files_are_taken_whatever_their_name_says(suffix):
    folder = UploadFolder()
    upload = folder.accept("../../etc/passwd.exe", encoded(suffix))
    assert upload.path.parent == folder.path
    assert upload.name == "../../etc/passwd.exe"
    assert cv2.imread(str(upload.path)).shape == GOOD.shape


def test_files_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(uploads, "MOST_MEGABYTES", 0)
    with pytest.raises(ImageError, match="larger than"):
        UploadFolder().accept("huge.png", encoded(".png"))


def test_visitors_have_folders_of_their_own():
    one, two = UploadFolder(), UploadFolder()
    first = one.accept("a.png", encoded(".png"))
    second = two.accept("a.png", encoded(".png"))
    assert first.path != second.path
    one.close()
    assert second.path.exists()


def test_a_new_upload_takes_the_place_of_the_old_one():
    folder = UploadFolder()
    old = folder.accept("a.png", encoded(".png"))
    (folder.path / "tiled.png").write_bytes(b"mask of the old one")
    new = folder.accept("b.jpg", encoded(".jpg"))
    assert not old.path.exists()
    assert list(folder.path.iterdir()) == [new.path]
