import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import tifffile

from tiledseg.config import DatasetSettings
from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import Dataset, data_root, find_sample, load_dataset
from tiledseg.data.integrity import check_dataset
from tiledseg.errors import DatasetError, ImageError

DrawDataset = Callable[..., Path]
SMALL = DatasetSettings(name="Small")
SHARED = Path(__file__).parents[2] / ".." / "shared"


def stems(dataset: Dataset) -> dict[str, list[str]]:
    return {name: [sample.stem for sample in part] for name, part in dataset.splits.items()}


@pytest.fixture
def root(draw_dataset: DrawDataset) -> Path:
    draw_dataset("Small/train", ["a", "b", "c"])
    draw_dataset("Small/valid", ["d"], suffix=".tif")
    return draw_dataset("Small/test", ["e", "f"], suffix=".bmp")


class TestDataRoot:
    def test_environment_or_data(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TILEDSEG_DATA", "/some/where")
        assert data_root() == Path("/some/where")
        monkeypatch.delenv("TILEDSEG_DATA")
        assert data_root() == Path("data")


class TestLayouts:
    def test_ready_splits(self, root: Path) -> None:
        dataset = load_dataset(SMALL, root)
        assert stems(dataset) == {"train": ["a", "b", "c"], "valid": ["d"], "test": ["e", "f"]}
        assert not dataset.drawn
        assert dataset.folder == root / "Small"
        sample = dataset.splits["valid"][0]
        assert (sample.image.name, sample.mask.name) == ("d.tif", "d.png")

    @pytest.mark.parametrize("folder", ["Small", "Small/train"])
    def test_all_drawn(self, draw_dataset: DrawDataset, folder: str) -> None:
        names = [f"s{source}_{tile}_0" for source in range(5) for tile in range(3)]
        dataset = load_dataset(SMALL, draw_dataset(folder, names))
        assert dataset.drawn
        found = stems(dataset)
        assert list(found) == ["train", "valid", "test"]
        assert {name: len(part) for name, part in found.items()} == {
            "train": 9,
            "valid": 3,
            "test": 3,
        }
        assert sorted(stem for part in found.values() for stem in part) == sorted(names)

    def test_names_that_only_look_like_tiles(self, draw_dataset: DrawDataset) -> None:
        names = [f"2021_05_{day}" for day in range(10, 18)]
        root = draw_dataset("Small", names)
        with pytest.raises(DatasetError, match=r"1 source image.*unless dataset.split.tiles is fa"):
            load_dataset(SMALL, root)
        settings = DatasetSettings.model_validate({"name": "Small", "split": {"tiles": False}})
        found = stems(load_dataset(settings, root))
        assert sorted(stem for part in found.values() for stem in part) == names
        assert all(found.values())

    def test_only_the_missing_split_is_drawn(self, root: Path) -> None:
        shutil.rmtree(root / "Small" / "test")
        found = stems(load_dataset(SMALL, root))
        assert found["valid"] == ["d"]
        assert len(found["test"]) == 1
        assert sorted(found["train"] + found["test"]) == ["a", "b", "c"]

    def test_synthetic_is_drawn_when_absent(
        self, draw_dataset: DrawDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        drawn: list[Path] = []

        def write(settings: object, folder: Path, progress: object) -> None:
            drawn.append(folder)
            draw_dataset("Small/train", ["a", "b", "c"])

        module = ModuleType("tiledseg.data.synthetic.dataset")
        module.write_synthetic_dataset = write  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        settings = DatasetSettings.model_validate({"name": "Small", "synthetic": {}})
        for _ in range(2):
            assert load_dataset(settings, tmp_path / "root").drawn
        assert drawn == [tmp_path / "root" / "Small"]


class TestOneSample:
    def test_it_is_that_of_the_whole_dataset(self, root: Path) -> None:
        (sample,) = load_dataset(SMALL, root).splits["valid"]
        assert find_sample(SMALL, root, "valid", "d") == sample

    def test_of_splits_that_are_drawn(self, draw_dataset: DrawDataset) -> None:
        root = draw_dataset("Small", [f"s{number}" for number in range(9)])
        for split, samples in load_dataset(SMALL, root).splits.items():
            for sample in samples:
                assert find_sample(SMALL, root, split, sample.stem) == sample

    def test_its_mask_alone_is_converted(self, root: Path) -> None:
        settings = SMALL.model_copy(update={"mask_form": "nonzero"})
        sample = find_sample(settings, root, "train", "b")
        assert len(list(sample.mask.parent.iterdir())) == 1
        assert sample == load_dataset(settings, root).splits["train"][1]

    @pytest.mark.parametrize(("split", "stem"), [("valid", "a"), ("test", "x")])
    def test_one_that_is_not_there(self, root: Path, split: str, stem: str) -> None:
        with pytest.raises(DatasetError, match=f"{split} holds no image '{stem}'"):
            find_sample(SMALL, root, split, stem)


class TestRefusedLayouts:
    def test_no_data_root(self, tmp_path: Path) -> None:
        with pytest.raises(
            DatasetError, match=r"datasets, .*no, does not exist; set TILEDSEG_DATA"
        ):
            load_dataset(SMALL, tmp_path / "no")

    def test_nearest_folders(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="nearest folders: Small; correct the name"):
            load_dataset(DatasetSettings(name="smal"), root)

    def test_no_near_folder(self, root: Path) -> None:
        with pytest.raises(DatasetError, match="the data root holds: Small;"):
            load_dataset(DatasetSettings(name="Xyz"), root)

    def test_no_training_images(self, root: Path) -> None:
        shutil.rmtree(root / "Small" / "train")
        with pytest.raises(DatasetError, match="neither train/images nor images is there; lay"):
            load_dataset(SMALL, root)

    def test_empty_split(self, root: Path) -> None:
        for path in (root / "Small" / "valid").rglob("*.*"):
            path.unlink()
        with pytest.raises(DatasetError, match="valid/images holds no images"):
            load_dataset(SMALL, root)

    def test_too_few_to_draw(self, draw_dataset: DrawDataset) -> None:
        with pytest.raises(DatasetError, match=r"2 source image\(s\) .*needs 3"):
            load_dataset(SMALL, draw_dataset("Small", ["a", "b"]))


class TestDigest:
    def test_independent_of_place_and_time(self, root: Path, tmp_path: Path) -> None:
        before = load_dataset(SMALL, root).digest
        copy = tmp_path / "other"
        shutil.copytree(root, copy)
        for path in copy.rglob("*.*"):
            os.utime(path, (1, 1))
        assert load_dataset(SMALL, copy).digest == before
        assert len(before) == 32

    @pytest.mark.parametrize("kind", ["images", "masks"])
    def test_changed_by_one_byte(self, root: Path, kind: str) -> None:
        before = load_dataset(SMALL, root).digest
        path = sorted((root / "Small" / "test" / kind).iterdir())[1]
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
        assert load_dataset(SMALL, root).digest != before

    def test_changed_by_a_name_and_by_the_split(self, root: Path) -> None:
        digests = {load_dataset(SMALL, root).digest}
        small = root / "Small"
        for kind in ("images", "masks"):
            (small / "train" / kind / "a.png").rename(small / "train" / kind / "aa.png")
        digests.add(load_dataset(SMALL, root).digest)
        for kind in ("images", "masks"):
            (small / "train" / kind / "aa.png").rename(small / "test" / kind / "aa.png")
        digests.add(load_dataset(SMALL, root).digest)
        assert len(digests) == 3


class TestCheckDataset:
    def test_summary(self, root: Path, small_experiment: Experiment, cache: PixelCache) -> None:
        summary = check_dataset(load_dataset(SMALL, root), small_experiment, cache)
        train = summary.splits["train"]
        assert train.images == 3
        assert train.megapixels == pytest.approx(3 * 48 * 64 / 1e6)
        assert train.foreground == pytest.approx(12 * (10 + 11 + 12) / (3 * 48 * 64))
        assert list(summary.splits) == ["train", "valid", "test"]

    def test_everything_is_decoded_once(
        self, root: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        dataset = load_dataset(SMALL, root)
        check_dataset(dataset, small_experiment, cache)
        entries = {path: path.stat().st_mtime_ns for path in cache.folder.iterdir()}
        check_dataset(dataset, small_experiment, cache)
        assert {path: path.stat().st_mtime_ns for path in cache.folder.iterdir()} == entries

    def test_sizes_differ(
        self, root: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        path = root / "Small" / "valid" / "masks" / "d.png"
        cv2.imwrite(str(path), np.full((40, 64), 255, np.uint8))
        told = r"d\.png: the mask is 64 x 40 pixels, but .*d\.tif is 64 x 48 .*one size"
        with pytest.raises(DatasetError, match=told):
            check_dataset(load_dataset(SMALL, root), small_experiment, cache)

    def test_dark_images_are_named(
        self,
        root: Path,
        small_experiment: Experiment,
        cache: PixelCache,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path = root / "Small" / "valid" / "images" / "d.tif"
        deep = np.random.default_rng(0).integers(0, 4096, (48, 64), np.uint16)
        tifffile.imwrite(path, deep, photometric="minisblack")
        check_dataset(load_dataset(SMALL, root), small_experiment, cache)
        (told,) = [record.message for record in caplog.records]
        assert "1 of 6 images" in told
        assert f"as {path}" in told
        assert "image.bit_depth" in told
        caplog.clear()
        deep_enough = small_experiment.override({"image.bit_depth": 12})
        check_dataset(load_dataset(SMALL, root), deep_enough, cache)
        assert not caplog.records

    def test_unreadable_file(
        self, root: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        path = root / "Small" / "test" / "images" / "f.bmp"
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(ImageError, match=r"f\.bmp: is a truncated BMP"):
            check_dataset(load_dataset(SMALL, root), small_experiment, cache)

    @pytest.mark.parametrize(
        ("value", "remedy"),
        [(1, r"brightest is 1\); set dataset.mask_threshold below 1"), (0, "all black; add masks")],
    )
    def test_no_foreground(
        self,
        root: Path,
        small_experiment: Experiment,
        cache: PixelCache,
        value: int,
        remedy: str,
    ) -> None:
        for path in (root / "Small" / "train" / "masks").iterdir():
            cv2.imwrite(str(path), np.full((48, 64), value, np.uint8))
        with pytest.raises(DatasetError, match=f"train/masks: no mask of train .*{remedy}"):
            check_dataset(load_dataset(SMALL, root), small_experiment, cache)

    def test_no_value_that_is_foreground(
        self, root: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        for path in root.glob("Small/*/masks/*"):
            cv2.imwrite(str(path), np.full((48, 64), 41, np.uint8))
        settings = SMALL.model_copy(update={"mask_form": "values", "mask_values": "40"})
        with pytest.raises(DatasetError, match=r"marks an object as .*mask_values read it; mend"):
            check_dataset(load_dataset(settings, root), small_experiment, cache)

    def test_no_foreground_in_a_small_validation_split_is_no_fault(
        self, root: Path, small_experiment: Experiment, cache: PixelCache
    ) -> None:
        cv2.imwrite(str(root / "Small/valid/masks/d.png"), np.zeros((48, 64), np.uint8))
        summary = check_dataset(load_dataset(SMALL, root), small_experiment, cache)
        assert summary.splits["valid"].foreground == 0.0


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared images are not on this machine")
def test_real_smears(cache: PixelCache) -> None:
    experiment = Experiment.model_validate({"dataset": {"name": "Tiled-Cell"}})
    dataset = load_dataset(experiment.dataset, SHARED / "datasets")
    summary = check_dataset(dataset, experiment, cache)
    assert {name: part.images for name, part in summary.splits.items()} == {
        "train": 16,
        "valid": 4,
        "test": 6,
    }
    assert not dataset.drawn
    assert all(0.005 < part.foreground < 0.1 for part in summary.splits.values())
