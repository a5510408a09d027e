"""Stain, focus, gamma, noise and compression: what they change, and how much at most."""

import cv2
import numpy as np
import pytest

from tiledseg.config import AugmentationSettings
from tiledseg.data.augmentation.augment import augment

STILL = AugmentationSettings(
    brightness=0, contrast=0, color_cast=0, hue=0, saturation=0,
    hflip=False, vflip=False, quarter_turns=False,
)  # fmt: skip
FLAT = np.full((64, 64, 3), (180, 110, 150), np.uint8)
GRAY = FLAT[..., :1]
EDGE = np.full((64, 64, 3), 80, np.uint8)
EDGE[:, 32:] = 160
MASK = np.zeros((64, 64), np.uint8)
TISSUE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), (0, 0), 3
)


def seen(image: np.ndarray, seed: int, space: str = "rgb", **changes: float) -> np.ndarray:
    settings = AugmentationSettings.model_validate(STILL.model_dump() | changes)
    shown, mask = augment(image, MASK, np.random.default_rng(seed), settings, space)
    assert shown.shape == image.shape
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(mask, MASK)
    return shown.astype(int)


CHANGES: list[dict[str, float]] = [
    {"stain": 0.5}, {"gamma": 1.0}, {"blur": 3.0}, {"sharpening": 3.0}, {"noise": 0.1},
    {"jpeg": 90},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: next(iter(changes)))
@pytest.mark.parametrize("space", ["rgb", "hsv", "lab", "gray"])
def test_each_shows_and_differs_from_sample_to_sample(
    changes: dict[str, float], space: str
) -> None:
    image = {
        "rgb": TISSUE,
        "hsv": cv2.cvtColor(TISSUE, cv2.COLOR_RGB2HSV_FULL),
        "lab": cv2.cvtColor(TISSUE, cv2.COLOR_RGB2LAB),
        "gray": TISSUE[..., :1],
    }[space]
    different = {seen(image, seed, space, **changes).tobytes() for seed in range(4)}
    without_stain = space == "gray" and "stain" in changes
    assert len(different) == (1 if without_stain else 4)
    if without_stain:
        assert different == {image.astype(int).tobytes()}


def test_stain_changes_amounts_and_leaves_the_bare_slide_alone() -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    densities = []
    for seed in range(60):
        assert (seen(white, seed, stain=0.5) >= 254).all()
        densities.append(-np.log((seen(FLAT, seed, stain=0.5)[0, 0] + 1) / 256))
    before = -np.log((FLAT[0, 0] + 1.0) / 256)
    change = np.array(densities) / before
    assert change.min() > 0.3
    assert change.max() < 1.8
    assert change.std(axis=0).min() > 0.1


def test_gamma_keeps_black_and_white_and_its_bounds() -> None:
    image = np.tile(np.arange(256, dtype=np.uint8), (16, 1))[:64, :, np.newaxis].reshape(64, 64, 1)
    middles = []
    for seed in range(80):
        shown = seen(image, seed, "gray", gamma=1.0)
        assert {int(shown.min()), int(shown.max())} == {0, 255}
        middles.append(np.log(shown[image == 64][0] / 255) / np.log(64 / 255))
    assert 0.49 < min(middles) < 0.6
    assert 1.7 < max(middles) < 2.03


def test_blur_smooths_and_sharpening_overshoots() -> None:
    widths, peaks = [], []
    for seed in range(40):
        blurred = seen(EDGE, seed, blur=3.0)[32, :, 0]
        assert blurred.min() == 80
        assert blurred.max() == 160
        widths.append(int(((blurred > 85) & (blurred < 155)).sum()))
        peaks.append(int(seen(EDGE, seed, sharpening=2.0).max()))
    assert min(widths) <= 2
    assert 7 <= max(widths) <= 12
    assert min(peaks) < 170
    assert 190 < max(peaks) <= 220


def test_noise_has_no_mean_and_the_spread_that_was_asked_for() -> None:
    spreads = []
    for seed in range(40):
        noise = seen(FLAT, seed, noise=0.1) - FLAT
        assert abs(noise.mean()) < 1.2
        spreads.append(noise.std())
        if spreads[-1] > 5:
            assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.1
            assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.1
    assert min(spreads) < 4
    assert 22 < max(spreads) < 27


def test_jpeg_keeps_colors_and_loses_detail() -> None:
    lost = []
    for seed in range(20):
        assert np.abs(seen(FLAT, seed, jpeg=80) - FLAT).max() <= 8, "red and blue are not exchanged"
        lost.append(np.abs(seen(TISSUE, seed, jpeg=80) - TISSUE).mean())
    assert min(lost) < 1.0 < max(lost)
    assert np.abs(seen(GRAY, 0, "gray", jpeg=80) - GRAY).max() <= 2
