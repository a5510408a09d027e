"""Smears are drawn the same every time, look stained, and are written whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from watched_disk import watch_disk

from tiledseg.config import SyntheticSettings
from tiledseg.data.synthetic import dataset
from tiledseg.data.synthetic.dataset import write_synthetic_dataset
from tiledseg.data.synthetic.smear import draw_cells, draw_smear
from tiledseg.errors import DatasetError, OutputError
from tiledseg.images.reading import read_header, read_indices

SMALL = SyntheticSettings(seed=7, size=96, train=3, valid=2, test=1)


@pytest.fixture(scope="module")
def fields():
    return [draw_smear(seed, 1024) for seed in range(6)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "Synthetic-Cell"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class TestDrawSmear:
    @pytest.mark.parametrize("size", [64, 97, 600])
    def test_shapes_and_types(self, size):
        image, mask = draw_smear(3, size)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert mask.shape == (size, size)
        assert mask.dtype == np.bool_

    @pytest.mark.parametrize("seed", [0, -1, 137, 2**70])
    def test_a_seed_gives_one_field(self, seed):
        image, mask = draw_smear(seed, 200)
        again, mask_again = draw_smear(seed, 200)
        assert np.array_equal(image, again)
        assert np.array_equal(mask, mask_again)

    def test_seeds_give_different_fields(self):
        masks = [draw_smear(seed, 128)[1].tobytes() for seed in range(8)]
        assert len(set(masks)) == 8

    def test_foreground_is_a_sensible_fraction(self, fields):
        for _, mask in fields:
            assert 0.03 < mask.mean() < 0.10

    @pytest.mark.parametrize("seed", range(25))
    def test_the_smallest_field_has_foreground_and_background(self, seed):
        _, mask = draw_smear(seed, 64)
        assert 0 < mask.mean() < 1

    def test_nuclei_are_darker_and_bluer_than_the_rest(self, fields):
        for image, mask in fields:
            inside, outside = image[mask].mean(0), image[~mask].mean(0)
            assert inside.mean() < outside.mean() - 40
            assert inside[2] / inside[0] > outside[2] / outside[0] + 0.2

    def test_mask_follows_the_edge_of_the_nuclei(self, fields):
        ring = np.ones((9, 9), np.uint8)
        for image, mask in fields:
            within = cv2.erode(mask.astype(np.uint8), ring) > 0
            beside = (cv2.dilate(mask.astype(np.uint8), ring) > 0) & ~mask
            assert image[within][:, 0].mean() < image[beside][:, 0].mean() - 40

    def test_no_threshold_solves_the_task(self, fields):
        """Distractors are as dark and as purple as nuclei."""
        for weights in ((1, 0, 0), (0, 1, 0), (1, 1, -1)):
            best = []
            for image, mask in fields:
                tone = image[::2, ::2].astype(np.int16) @ weights
                best.append(max(dice(tone < cut, mask[::2, ::2]) for cut in range(0, 200, 8)))
            assert np.mean(best) < 0.95

    def test_fields_vary_in_light_and_stain(self, fields):
        light = np.array([np.percentile(image, 95, axis=(0, 1)) for image, _ in fields])
        stain = np.array([image[mask].mean(0) for image, mask in fields])
        assert np.all(np.ptp(light, axis=0) > 5)
        assert np.all(np.ptp(stain, axis=0) > 5)

    def test_objects_keep_their_size_in_a_larger_field(self):
        areas = [median_nucleus(draw_smear(5, size)[1]) for size in (768, 1536)]
        assert 0.6 < areas[0] / areas[1] < 1.6


class TestWriteSyntheticDataset:
    def test_layout_and_counts(self, folder):
        write_synthetic_dataset(SMALL, folder)
        stems = []
        for split, count in (("train", 3), ("valid", 2), ("test", 1)):
            images = sorted(path.stem for path in (folder / split / "images").iterdir())
            masks = sorted(path.stem for path in (folder / split / "masks").iterdir())
            assert images == masks
            assert len(images) == count
            stems += images
        assert sorted(stems) == [f"smear_{number:04d}" for number in range(1, 7)]

    def test_files_hold_what_was_drawn(self, folder):
        write_synthetic_dataset(SMALL, folder)
        for path in folder.glob("*/masks/*.png"):
            mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (96, 96)
            assert set(np.unique(mask)) == {0, 255}
            bgr = cv2.imread(str(path.parents[1] / "images" / f"{path.stem}.jpg"))
            blue, _, red = bgr[mask > 0].mean(0)
            assert blue > red  # nuclei are purple, so the channels are in the right order

    def test_images_differ_within_and_between_seeds(self, folder):
        other = SMALL.model_copy(update={"seed": 8})
        write_synthetic_dataset(SMALL, folder)
        write_synthetic_dataset(other, folder.with_name("other"))
        masks = [*folder.glob("*/masks/*.png"), *folder.with_name("other").glob("*/masks/*.png")]
        assert len({path.read_bytes() for path in masks}) == 12

    def test_a_seed_gives_the_same_files(self, folder):
        write_synthetic_dataset(SMALL, folder)
        write_synthetic_dataset(SMALL, folder.with_name("again"))
        assert contents(folder) == contents(folder.with_name("again"))

    def test_progress_counts_every_image(self, folder):
        calls = []
        write_synthetic_dataset(SMALL, folder, lambda done, total: calls.append((done, total)))
        assert calls == [(done, 6) for done in range(1, 7)]

    def test_a_complete_folder_is_left_alone(self, folder, monkeypatch):
        write_synthetic_dataset(SMALL, folder)
        times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        monkeypatch.setattr(dataset, "draw_cells", None)
        write_synthetic_dataset(SMALL, folder)
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times

    @pytest.mark.parametrize("files", [(), ("notes.txt",), ("synthetic.json", "train/a.png")])
    def test_a_foreign_folder_is_refused_and_untouched(self, folder, files):
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("mine")
        with pytest.raises(DatasetError, match="move it away") as caught:
            write_synthetic_dataset(SMALL, folder)
        assert str(folder) in str(caught.value)
        assert contents(folder) == dict.fromkeys(sorted(files), b"mine")
        assert list(folder.parent.iterdir()) == [folder]

    def test_a_file_in_the_way_is_refused_and_untouched(self, folder):
        folder.parent.mkdir()
        folder.write_text("mine")
        with pytest.raises(DatasetError, match="move it away"):
            write_synthetic_dataset(SMALL, folder)
        assert folder.read_text() == "mine"

    def test_other_settings_are_refused(self, folder):
        write_synthetic_dataset(SMALL, folder)
        before = contents(folder)
        with pytest.raises(DatasetError, match=r"seed=7.*seed=8"):
            write_synthetic_dataset(SMALL.model_copy(update={"seed": 8}), folder)
        assert contents(folder) == before

    def test_a_missing_file_is_named(self, folder):
        write_synthetic_dataset(SMALL, folder)
        (folder / "valid" / "masks" / "smear_0004.png").unlink()
        with pytest.raises(DatasetError, match=r"incomplete.*smear_0004\.png"):
            write_synthetic_dataset(SMALL, folder)

    @pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
    def test_an_interrupted_drawing_leaves_nothing(self, folder, monkeypatch, fault):
        drawn = []

        def fail_in_the_middle(seed: int, size: int):
            drawn.append(seed)
            if len(drawn) == 4:
                raise fault
            return draw_cells(seed, size)

        monkeypatch.setattr(dataset, "draw_cells", fail_in_the_middle)
        with pytest.raises(fault):
            write_synthetic_dataset(SMALL, folder)
        assert list(folder.parent.iterdir()) == []
        monkeypatch.undo()
        write_synthetic_dataset(SMALL, folder)
        assert len(list(folder.glob("*/masks/*.png"))) == 6

    def test_two_writers_at_once_leave_one_whole_dataset(self, folder):
        with ThreadPoolExecutor(2) as pool:
            for writer in [pool.submit(write_synthetic_dataset, SMALL, folder) for _ in range(2)]:
                writer.result()
        assert list(folder.parent.iterdir()) == [folder]
        write_synthetic_dataset(SMALL, folder.with_name("alone"))
        assert contents(folder) == contents(folder.with_name("alone"))

    def test_all_of_it_is_on_the_disk_before_it_has_its_name(self, folder, monkeypatch):
        disk = watch_disk(monkeypatch)
        write_synthetic_dataset(SMALL, folder)
        assert disk.named == [(folder, True)]

    def test_what_a_killed_writer_left_is_drawn_anew(self, folder):
        draft = folder.with_name(f".{folder.name}.partial")
        (draft / "train" / "images").mkdir(parents=True)
        (draft / "train" / "images" / "half.jpg").write_bytes(b"half")
        write_synthetic_dataset(SMALL, folder)
        assert list(folder.parent.iterdir()) == [folder]
        assert not list(folder.rglob("half.jpg"))

    def test_a_foreign_folder_that_appears_meanwhile_is_untouched(self, folder):
        def intrude(done: int, total: int) -> None:
            folder.mkdir(exist_ok=True)
            (folder / "notes.txt").write_text("mine")

        with pytest.raises(DatasetError, match="move it away"):
            write_synthetic_dataset(SMALL, folder, intrude)
        assert contents(folder) == {"notes.txt": b"mine"}
        assert list(folder.parent.iterdir()) == [folder]

    def test_an_unwritable_root_names_the_path_and_the_remedy(self, tmp_path):
        (tmp_path / "data").write_text("a file where the data root should be")
        folder = tmp_path / "data" / "Synthetic-Cell"
        with pytest.raises(OutputError, match="TILEDSEG_DATA") as caught:
            write_synthetic_dataset(SMALL, folder)
        assert str(folder) in str(caught.value)
        assert "partial" not in str(caught.value)

    def test_a_full_disk_leaves_nothing(self, folder, monkeypatch):
        def fail(path: Path, mask: np.ndarray) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(dataset, "write_mask", fail)
        with pytest.raises(OutputError, match="No space left on device"):
            write_synthetic_dataset(SMALL, folder)
        assert list(folder.parent.iterdir()) == []


def dice(predicted: np.ndarray, target: np.ndarray) -> float:
    return 2 * (predicted & target).sum() / (predicted.sum() + target.sum())


def median_nucleus(mask: np.ndarray) -> float:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return float(np.median(stats[1:, cv2.CC_STAT_AREA]))


class TestCells:
    def test_are_the_smear_with_every_pixel_labeled(self):
        image, labels = draw_cells(11, 512)
        plain, mask = draw_smear(11, 512)
        assert np.array_equal(image, plain)
        assert np.array_equal(labels == 3, mask)
        assert (np.bincount(labels.ravel(), minlength=4) > 1000).all()

    def test_labels_are_what_is_seen(self):
        """Light passes the background best, red cells in red, nuclei least."""
        image, labels = draw_cells(12, 768)
        means = [image[labels == label].mean(0) for label in range(4)]
        brightness = [mean.mean() for mean in means]
        assert brightness[0] > brightness[1] > brightness[3]
        assert brightness[2] > brightness[3] + 15
        assert means[1][0] - means[1][1] > means[0][0] - means[0][1] + 10

    def test_are_written_with_a_palette(self, folder):
        settings = SMALL.model_copy(update={"labels": "cells"})
        write_synthetic_dataset(settings, folder)
        for path in folder.rglob("masks/*.png"):
            assert read_header(path).palette
            assert read_indices(path).max() <= 3
        with pytest.raises(DatasetError, match="was drawn with"):
            write_synthetic_dataset(SMALL, folder)
