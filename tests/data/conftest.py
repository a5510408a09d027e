"""Real files, written without tiledseg's own writer."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tiledseg.config.experiment import Experiment
from tiledseg.data.cache import PixelCache
from tiledseg.data.pairing import Sample, pair

DrawDataset = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path) -> PixelCache:
    return PixelCache(tmp_path / "cache")


@pytest.fixture
def draw_dataset(tmp_path: Path) -> DrawDataset:
    """Write ROOT/FOLDER/{images,masks}/STEM for the stems given; returns ROOT."""

    def draw(
        folder: str,
        stems: Iterable[str],
        *,
        shape: tuple[int, int] = (48, 64),
        suffix: str = ".png",
    ) -> Path:
        root = tmp_path / "root"
        for kind in ("images", "masks"):
            (root / folder / kind).mkdir(parents=True, exist_ok=True)
        for number, stem in enumerate(stems):
            rng = np.random.default_rng([number, len(stem)])
            image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
            mask = np.zeros(shape, np.uint8)
            mask[8:20, 10 : 20 + number % 8] = 255
            cv2.imwrite(str(root / folder / "images" / f"{stem}{suffix}"), image)
            cv2.imwrite(str(root / folder / "masks" / f"{stem}.png"), mask)
        return root

    return draw


@pytest.fixture
def samples(draw_dataset: DrawDataset) -> tuple[Sample, ...]:
    """Three images of 60 x 80 pixels."""
    return pair(draw_dataset("Small/train", ["a", "b", "c"], shape=(60, 80)) / "Small/train")


@pytest.fixture
def small_experiment() -> Experiment:
    return Experiment.model_validate(
        {
            "dataset": {"name": "Small"},
            "image": {"size": 32},
            "model": {"num_layers": 2},
            "tiling": {"max_tile": 64},
            "training": {"batch_size": 2, "steps_per_epoch": 5, "validation_tiles": 7},
        }
    )
