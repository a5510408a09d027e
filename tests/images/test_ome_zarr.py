"""OME-Zarr stores as images and masks: real ones, written with zarr itself."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import zarr

from tiledseg.checking.check import check_folder
from tiledseg.checking.suggestion import suggest_section
from tiledseg.config import DatasetSettings
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.data.integrity import check_dataset
from tiledseg.errors import ImageError
from tiledseg.images.hashing import hash_content
from tiledseg.images.headers import Header
from tiledseg.images.reading import (
    image_shape,
    list_images,
    read_as_stored,
    read_header,
    read_image,
    read_mask,
)

RGB = np.random.default_rng(7).integers(0, 256, (41, 53, 3), dtype=np.uint8)
LAYOUTS = ["yxc", "cyx", "tczyx"]


def write_store(path: Path, pixels: np.ndarray, axes: str = "yxc", version: str = "0.4") -> Path:
    """Pixels (H, W, C) or (H, W) as the finest of two levels, their axes in that order."""
    if pixels.ndim == 2 and "c" in axes:
        pixels = pixels[..., np.newaxis]
    own = "yxc"[: pixels.ndim]
    stored = pixels.transpose([own.index(axis) for axis in axes if axis in own])
    stored = stored.reshape([stored.shape[[a for a in axes if a in own].index(axis)] if axis in own
                             else 1 for axis in axes])  # fmt: skip
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    for name, level in {"0": stored, "1": stored[..., ::2]}.items():
        chunks = tuple(min(size, 16) for size in level.shape)
        group.create_array(name, shape=level.shape, chunks=chunks, dtype=level.dtype)[...] = level
    kinds = {"t": "time", "c": "channel"}
    image = {
        "axes": [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes],
        "datasets": [{"path": "0"}, {"path": "1"}],
    }
    if version == "0.4":
        group.attrs["multiscales"] = [{**image, "version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    return path


class TestReading:
    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    @pytest.mark.parametrize("axes", LAYOUTS)
    def test_color(self, tmp_path, axes, version):
        path = write_store(tmp_path / "a.zarr", RGB, axes, version)
        np.testing.assert_array_equal(read_image(path), RGB)
        assert image_shape(path) == (41, 53)
        assert read_header(path) == Header("zarr", 41, 53, 3, 8)

    @pytest.mark.parametrize("axes", ["yx", "cyx", "tczyx"])
    def test_gray_of_sixteen_bits(self, tmp_path, axes):
        deep = RGB[..., 0].astype(np.uint16) * np.uint16(257)
        path = write_store(tmp_path / "a.zarr", deep, axes)
        np.testing.assert_array_equal(read_as_stored(path), deep)
        np.testing.assert_array_equal(read_image(path, 1)[..., 0], RGB[..., 0])
        assert read_header(path).bits == 16

    def test_color_of_sixteen_bits_and_alpha(self, tmp_path):
        deep = np.dstack([RGB.astype(np.uint16) * 257, np.full((41, 53), 65535, np.uint16)])
        path = write_store(tmp_path / "a.zarr", deep, "cyx")
        np.testing.assert_array_equal(read_image(path), RGB)
        assert read_header(path).alpha

    def test_a_mask(self, tmp_path):
        path = write_store(tmp_path / "a.zarr", (RGB[..., 0] > 99).astype(np.uint8) * 255, "yx")
        np.testing.assert_array_equal(read_mask(path), RGB[..., 0] > 99)

    def test_is_listed_beside_files_and_other_folders_are_not(self, tmp_path):
        write_store(tmp_path / "b.ome.zarr", RGB)
        cv2.imwrite(str(tmp_path / "a.png"), RGB)
        (tmp_path / "c.zarr").mkdir()
        (tmp_path / "d").mkdir()
        assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.ome.zarr"]


class TestFaults:
    def test_several_planes(self, tmp_path):
        stack = np.zeros((5, 4, 4), np.uint8)
        group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
        group.create_array("0", shape=stack.shape, chunks=stack.shape, dtype="u1")[...] = stack
        axes = [{"name": name} for name in "zyx"]
        group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
        with pytest.raises(ImageError, match=r"a.zarr: has several planes along z; expected"):
            read_image(tmp_path / "a.zarr")

    @pytest.mark.parametrize("spoil", ["no multiscales", "no array", "no json"])
    def test_no_image_in_it(self, tmp_path, spoil):
        path = write_store(tmp_path / "a.zarr", RGB)
        if spoil == "no multiscales":
            (path / ".zattrs").write_text("{}")
        elif spoil == "no array":
            shutil.rmtree(path / "0")
        else:
            (path / ".zattrs").write_text("{")
        for read in (read_image, image_shape, read_header):
            with pytest.raises(ImageError, match=r"a.zarr: is a Zarr store, but expected an OME"):
                read(path)

    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    def test_a_chunk_that_is_cut_short(self, tmp_path, version):
        path = write_store(tmp_path / "a.zarr", RGB, "cyx", version)
        files = sorted(file for file in (path / "0").rglob("*") if file.is_file())
        chunk = next(file for file in files if file.name[0].isdigit())
        whole = chunk.read_bytes()
        for length in (0, 20, len(whole) - 1):
            chunk.write_bytes(whole[:length])
            with pytest.raises(ImageError, match="is a damaged Zarr store"):
                read_image(path)

    def test_numbers_that_are_no_image(self, tmp_path):
        path = write_store(tmp_path / "a.zarr", RGB.astype(np.float32))
        with pytest.raises(ImageError, match="holds float32 pixels; save it with 8 or 16 bits"):
            read_image(path)


class TestADataset:
    """Images as stores; instances in 32 bits as stores for masks."""

    SETTINGS = DatasetSettings(name="Stores", mask_form="nonzero")

    @pytest.fixture
    def root(self, tmp_path):
        for number in range(4):
            labels = np.zeros((41, 53), np.uint32)
            labels[5 : 20 + number, 8:30] = 70_000
            home = tmp_path / "Stores"
            write_store(home / "images" / f"{number}.ome.zarr", np.roll(RGB, 7 * number, axis=0))
            write_store(home / "masks" / f"{number}.zarr", labels, "yx", "0.5")
        return tmp_path

    def test_loads_and_is_sound(self, root, tmp_path):
        dataset = load_dataset(self.SETTINGS, root)
        stems = {sample.stem for part in dataset.splits.values() for sample in part}
        assert stems == {"0", "1", "2", "3"}
        experiment = Experiment(dataset=self.SETTINGS)
        summary = check_dataset(dataset, experiment, PixelCache(tmp_path / "cache"))
        assert summary.splits["train"].megapixels * 1e6 % (41 * 53) == 0
        assert summary.splits["train"].foreground > 0.1
        report = check_folder(root / "Stores", experiment, halo=0)
        assert report.is_sound, [
            finding for finding in report.findings if finding.severity == "error"
        ]

    def test_is_suggested(self, root):
        section = suggest_section(root / "Stores", "Stores").section
        assert "mask_form: nonzero" in section

    def test_a_store_is_known_by_its_content(self, root):
        store = root / "Stores" / "images" / "0.ome.zarr"
        before = hash_content(store)
        copy = Path(shutil.copytree(store, root / "copy.zarr"))
        assert hash_content(copy) == before
        zarr.open_group(copy, mode="r+")["0"][0, 0] = 1
        assert hash_content(copy) != before
