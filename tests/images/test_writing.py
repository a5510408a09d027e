from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tiledseg.errors import OutputError
from tiledseg.images.reading import read_image, read_indices, read_mask
from tiledseg.images.writing import write_image, write_mask, write_probability, write_target
from tiledseg.masks.classes import IGNORED

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
GRAY = RGB[..., 0].copy()
LOSSLESS = (".png", ".bmp", ".tif", ".tiff")


def stored(path: Path) -> NDArray[np.uint8]:
    """The file as OpenCV, and so the scoring tool, reads it."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels)


class TestWriteImage:
    @pytest.mark.parametrize("suffix", LOSSLESS)
    @pytest.mark.parametrize("pixels", [RGB, GRAY[..., None]], ids=["rgb", "gray"])
    def test_round_trip(self, tmp_path: Path, suffix: str, pixels: NDArray[np.uint8]) -> None:
        path = tmp_path / "new" / f"a{suffix}"
        write_image(path, pixels)
        np.testing.assert_array_equal(read_image(path, pixels.shape[2]), pixels)
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_unknown_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"cannot write '\.gif'; use .*\.png"):
            write_image(tmp_path / "a.gif", RGB)

    def test_a_path_under_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="cannot be written"):
            write_image(tmp_path / "file" / "a.png", RGB)

    def test_a_picture_too_large_for_its_format(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"does not fit into \.jpg"):
            write_image(tmp_path / "a.jpg", np.zeros((1, 70_000), np.uint8))


class TestWriteMask:
    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
    def test_zero_and_full_scale(self, tmp_path: Path, dtype: type) -> None:
        mask: NDArray[np.generic] = (GRAY > 99).astype(dtype)
        write_mask(tmp_path / "a.png", mask)
        np.testing.assert_array_equal(stored(tmp_path / "a.png"), np.where(mask, 255, 0))

    @pytest.mark.parametrize("write", [write_mask, write_probability])
    def test_only_png(
        self, tmp_path: Path, write: Callable[[Path, NDArray[np.float64]], None]
    ) -> None:
        with pytest.raises(OutputError, match=r"use the suffix \.png"):
            write(tmp_path / "a.jpg", np.zeros((2, 2)))


class TestWriteTarget:
    def test_one_class_is_0_and_255(self, tmp_path: Path) -> None:
        labels = np.array([[0, 1], [1, 0]], np.uint8)
        write_target(tmp_path / "a.png", labels, 2)
        stored = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(stored, labels * 255)

    @pytest.mark.parametrize(("label", "count"), [(IGNORED, 2), (1, 3), (2, 3)])
    def test_everything_else_is_an_index(self, tmp_path: Path, label: int, count: int) -> None:
        labels = np.array([[0, 1], [label, 0]], np.uint8)
        write_target(tmp_path / "a.png", labels, count)
        assert np.array_equal(read_indices(tmp_path / "a.png"), labels)


class TestWriteProbability:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_cutting_the_file_is_cutting_the_probabilities(
        self, tmp_path: Path, dtype: type[np.floating]
    ) -> None:
        half = dtype(0.5)
        below, above = np.nextafter(half, dtype(0)), np.nextafter(half, dtype(1))
        spread = np.linspace(0, 1, 2001).astype(dtype)
        probability = np.concatenate([spread, np.array([below, half, above], dtype)])[None]
        write_probability(tmp_path / "a.png", probability)
        value = stored(tmp_path / "a.png") / 255
        np.testing.assert_array_equal(value >= 0.5, probability >= 0.5)
        np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), probability >= 0.5)
        assert np.abs(value - probability).max() <= 0.5 / 255 + 1e-9

    def test_values_outside_are_clipped(self, tmp_path: Path) -> None:
        write_probability(tmp_path / "a.png", np.array([[-0.1, 0.0, 1.0, 1.2]]))
        assert read_image(tmp_path / "a.png", 1).ravel().tolist() == [0, 0, 255, 255]

    def test_not_a_number(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="diverged"):
            write_probability(tmp_path / "a.png", np.array([[0.1, np.nan]]))
