import ast
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from tiledseg.config import ImageSettings
from tiledseg.data import cache as cache_module
from tiledseg.data.cache import PixelCache
from tiledseg.errors import ImageError, OutputError, TiledsegError
from tiledseg.images.hashing import hash_content
from tiledseg.images.mapped import write_array
from tiledseg.images.reading import DecodedPicture, read_picture
from tiledseg.images.writing import write_image
from tiledseg.masks.classes import IGNORED

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), RGB[..., ::-1])
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded from now on."""
    seen: list[Path] = []

    def read(path: Path, bit_depth: int | None) -> DecodedPicture:
        seen.append(path)
        return read_picture(path, bit_depth)

    monkeypatch.setattr(cache_module, "read_picture", read)
    return seen


class TestPixels:
    def test_image_is_mapped_and_read_only(self, cache: PixelCache, image: Path) -> None:
        pixels = cache.image(image, ImageSettings())
        np.testing.assert_array_equal(pixels, RGB)
        assert isinstance(pixels, np.memmap)
        assert not pixels.flags.writeable

    def test_image_is_preprocessed(self, cache: PixelCache, image: Path) -> None:
        settings = ImageSettings(color_space="gray", channels=1, gamma=2.0)
        assert cache.image(image, settings).shape == (37, 53, 1)

    def test_mask_holds_zero_and_one(self, cache: PixelCache, tmp_path: Path) -> None:
        mask = np.where(RGB[..., 0] > 127, 255, 0).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "m.png"), mask)
        labels = cache.mask(tmp_path / "m.png", 127)
        np.testing.assert_array_equal(labels, mask // 255)
        assert labels.dtype == np.uint8

    def test_thresholds_do_not_share_an_entry(self, cache: PixelCache, image: Path) -> None:
        assert cache.mask(image, 0).sum() > cache.mask(image, 250).sum()


class TestOnce:
    def test_decoded_once(self, cache: PixelCache, image: Path, decoded: list[Path]) -> None:
        for _ in range(3):
            cache.image(image, ImageSettings())
        PixelCache(cache.folder).image(image, ImageSettings())
        assert decoded == [image]

    def test_size_of_crops_does_not_matter_but_looks_do(
        self, cache: PixelCache, image: Path, decoded: list[Path]
    ) -> None:
        for settings in (ImageSettings(), ImageSettings(size=64), ImageSettings(gamma=1.5)):
            cache.image(image, settings)
        assert len(decoded) == 2

    def test_a_copy_is_not_decoded_again(
        self, cache: PixelCache, image: Path, decoded: list[Path]
    ) -> None:
        copy = image.with_name("b.png")
        copy.write_bytes(image.read_bytes())
        cache.image(image, ImageSettings())
        cache.image(copy, ImageSettings())
        assert decoded == [image]

    def test_a_changed_image_is(self, cache: PixelCache, image: Path) -> None:
        cache.image(image, ImageSettings())
        cv2.imwrite(str(image), 255 - RGB[..., ::-1])
        np.testing.assert_array_equal(cache.image(image, ImageSettings()), 255 - RGB)


class TestForegroundPixels:
    @pytest.mark.parametrize("damage", [None, b"", b"many"])
    def test_counted_once_and_again_when_damaged(
        self,
        cache: PixelCache,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        damage: bytes | None,
    ) -> None:
        path = tmp_path / "mask.png"
        mask = np.random.default_rng(2).integers(0, 256, (40, 30), np.uint8)
        cv2.imwrite(str(path), mask)
        for cut in (127, 200):
            assert cache.foreground_pixels(path, cut) == np.count_nonzero(mask > cut)
        if damage is None:
            monkeypatch.setattr(PixelCache, "mask", None)
        else:
            for entry in cache.folder.glob("*.count"):
                entry.write_bytes(damage)
        again = PixelCache(cache.folder)
        assert again.foreground_pixels(path, 127) == np.count_nonzero(mask > 127)

    def test_of_labels_what_is_not_known_is_none(self, cache: PixelCache, tmp_path: Path) -> None:
        path = tmp_path / "labels.png"
        cv2.imwrite(str(path), np.array([[0, 1, 2, IGNORED]], np.uint8))
        assert cache.foreground_pixels(path, None) == 2


class TestValueRange:
    def test_found_while_decoding_and_by_itself(
        self, cache: PixelCache, tmp_path: Path, decoded: list[Path]
    ) -> None:
        path = tmp_path / "deep.png"
        cv2.imwrite(str(path), RGB[..., 0].astype(np.uint16) << 4)
        expected = (int(RGB[..., 0].max()) << 4, 16)
        assert cache.value_range(path, ImageSettings()) == expected
        cache.image(path, ImageSettings(gamma=2.0))
        assert PixelCache(cache.folder).value_range(path, ImageSettings()) == expected
        assert cache.value_range(path, ImageSettings(bit_depth=12)) == (expected[0], 12)
        assert len(decoded) == 3


class TestFolders:
    def test_chunks_are_asked_after_once(
        self, cache: PixelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = tmp_path / "a.zarr"
        asked: list[Path] = []

        def hashed(path: Path) -> str:
            asked.append(path)
            return hash_content(path)

        monkeypatch.setattr(cache_module, "hash_content", hashed)
        picture = DecodedPicture(RGB, 8, 255)
        monkeypatch.setattr(cache_module, "read_picture", lambda *_: picture)
        store.mkdir()
        for _ in range(3):
            assert (cache.image(store, ImageSettings()) == RGB).all()
        assert asked == [store]


class TestDamagedEntries:
    @pytest.mark.parametrize("damage", ["empty", "cut", "long", "text", "other", "shape"])
    def test_rebuilt(self, cache: PixelCache, image: Path, damage: str) -> None:
        cache.image(image, ImageSettings())
        (entry,) = cache.folder.glob("*.pixels")
        whole = entry.read_bytes()
        if damage == "other":
            np.save(entry, np.zeros((4, 4)))
        elif damage == "shape":
            with entry.open("wb") as file:
                write_array(file, RGB[..., 0])
        else:
            damaged = {"empty": b"", "cut": whole[:-1], "long": whole + b"1", "text": b"nonsense"}
            entry.write_bytes(damaged[damage])
        np.testing.assert_array_equal(cache.image(image, ImageSettings()), RGB)

    def test_removed_folder_is_made_again(self, cache: PixelCache, image: Path) -> None:
        cache.image(image, ImageSettings())
        for entry in cache.folder.iterdir():
            entry.unlink()
        cache.folder.rmdir()
        np.testing.assert_array_equal(cache.image(image, ImageSettings()), RGB)


class TestConcurrency:
    def test_no_source_is_parsed_to_open_an_entry(
        self, cache: PixelCache, image: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What NumPy's headers need, and what fails between threads before Python 3.12."""
        cache.image(image, ImageSettings())
        monkeypatch.setattr(ast, "parse", None)
        np.testing.assert_array_equal(cache.image(image, ImageSettings()), RGB)

    def test_one_decodes_while_the_others_wait(
        self, tmp_path: Path, image: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each with a cache of its own, as processes have."""
        read = cache_module.read_picture

        def read_slowly(path: Path, bit_depth: int | None) -> DecodedPicture:
            time.sleep(0.3)
            return read(path, bit_depth)

        monkeypatch.setattr(cache_module, "read_picture", read_slowly)
        caches = [PixelCache(tmp_path / "cache") for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda own: own.image(image, ImageSettings()), caches))
        assert decoded == [image]
        assert all((pixels == found[0]).all() for pixels in found)
        assert not [path for path in (tmp_path / "cache").iterdir() if path.name[0] == "."]

    def test_threads(self, cache: PixelCache, image: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: cache.image(image, ImageSettings()), range(32)))
        assert all((pixels == RGB).all() for pixels in found)
        assert len(list(cache.folder.glob("*.pixels"))) == 1

    def test_processes(self, cache: PixelCache, image: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from tiledseg.data.cache import PixelCache; "
            "from tiledseg.config import ImageSettings; cache = PixelCache(Path(sys.argv[1])); "
            "[cache.image(Path(sys.argv[2]), ImageSettings(gamma=1 + n / 9)) for n in range(20)]"
        )
        command = [sys.executable, "-c", code, str(cache.folder), str(image)]
        running = [subprocess.Popen(command) for _ in range(3)]
        assert [process.wait() for process in running] == [0, 0, 0]
        assert len(list(cache.folder.glob("*.pixels"))) == 20
        np.testing.assert_array_equal(cache.image(image, ImageSettings()), RGB)


class TestFolder:
    def test_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "elsewhere"))
        assert PixelCache().folder == tmp_path / "elsewhere"
        monkeypatch.delenv("TILEDSEG_CACHE")
        assert "tiledseg" in PixelCache().folder.parts

    def test_unwritable(self, tmp_path: Path, image: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match=r"pixel cache .*file/c cannot .*TILEDSEG_CACHE"):
            PixelCache(tmp_path / "file" / "c").image(image, ImageSettings())

    def test_unreadable_image(self, cache: PixelCache, tmp_path: Path) -> None:
        (tmp_path / "t.png").write_text("text")
        with pytest.raises(ImageError, match=r"t\.png: is not a JPEG"):
            cache.image(tmp_path / "t.png", ImageSettings())


def test_what_was_unused_for_the_longest_time_goes_beyond_the_quota(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        write_image(paths[-1], np.full((64, 64, 3), number, np.uint8))
    cache = PixelCache(folder)
    for number, path in enumerate(paths):
        cache.image(path, ImageSettings())
        for entry in set(folder.glob("*.pixels")):
            if entry.stat().st_mtime > time.time() - 60:
                moment = time.time() - 3600 * (5 - number)
                os.utime(entry, (moment, moment))
    killed = folder / ".12-ab.tmp"
    killed.write_bytes(b"half")
    os.utime(killed, (0, 0))
    entries = sorted(folder.glob("*.pixels"), key=lambda entry: entry.stat().st_mtime)
    PixelCache(folder)
    assert all(entry.exists() for entry in entries) and not killed.exists()
    monkeypatch.setenv("TILEDSEG_CACHE_GB", str(1.5 * entries[0].stat().st_size / 2**30))
    again = PixelCache(folder)
    assert [entry.exists() for entry in entries] == [False, False, True]
    assert (again.image(paths[0], ImageSettings()) == 0).all()
    monkeypatch.setenv("TILEDSEG_CACHE_GB", "1e-9")
    os.utime(entries[2], (0, 0))
    used = PixelCache(folder)
    assert not entries[2].exists()
    assert entries[0].exists(), "it was used just now"
    assert (used.image(paths[0], ImageSettings()) == 0).all()
    monkeypatch.setenv("TILEDSEG_CACHE_GB", "much")
    with pytest.raises(TiledsegError, match="TILEDSEG_CACHE_GB='much' is no number of GB"):
        PixelCache(folder)
