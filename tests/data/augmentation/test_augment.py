from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.config import AugmentationSettings
from tiledseg.data.augmentation.augment import augment

STILL = AugmentationSettings(
    hflip=False,
    vflip=False,
    quarter_turns=False,
    brightness=0,
    contrast=0,
    color_cast=0,
    hue=0,
    saturation=0,
)
MOVES = STILL.model_copy(update={"hflip": True, "vflip": True, "quarter_turns": True})
LOOKS = STILL.model_copy(update={"brightness": 0.2, "contrast": 0.3, "hue": 0.1, "saturation": 0.4})
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
MASK = (IMAGE[..., 0] > 127).astype(np.uint8)


def generators(count: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng(seed) for seed in range(count))


def only(**changes: float) -> AugmentationSettings:
    return STILL.model_copy(update=changes)


class TestMoves:
    @given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
    def test_image_and_mask_stay_aligned(
        self, seed: int, height: int, width: int, channels: int
    ) -> None:
        rng = np.random.default_rng(seed)
        mask = rng.integers(0, 2, (height, width), dtype=np.uint8)
        image = np.repeat(mask[..., None] * np.uint8(255), channels, axis=2)
        moved, moved_mask = augment(image, mask, rng, MOVES, "rgb")
        assert moved.ndim == 3
        for channel in np.moveaxis(moved, -1, 0):
            np.testing.assert_array_equal(channel, moved_mask * 255)
        assert moved_mask.sum() == mask.sum()

    def test_all_eight_and_no_others(self) -> None:
        image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        found = {
            augment(image, image[..., 0], rng, MOVES, "rgb")[0].tobytes() for rng in generators(200)
        }
        square = [np.rot90(side, turn) for side in (image, image[::-1]) for turn in range(4)]
        assert found == {np.ascontiguousarray(one).tobytes() for one in square}

    @pytest.mark.parametrize(("name", "axis"), [("hflip", 1), ("vflip", 0)])
    def test_each_flip_alone_half_of_the_time(self, name: str, axis: int) -> None:
        flipped = 0
        for rng in generators(200):
            moved, _ = augment(IMAGE, MASK, rng, only(**{name: True}), "rgb")
            if not np.array_equal(moved, IMAGE):
                np.testing.assert_array_equal(moved, np.flip(IMAGE, axis))
                flipped += 1
        assert 70 < flipped < 130

    def test_results_are_contiguous(self) -> None:
        for rng in generators(20):
            image, mask = augment(IMAGE, MASK, rng, MOVES, "rgb")
            assert image.flags.c_contiguous
            assert mask.flags.c_contiguous


class TestLooks:
    def test_cast_scales_each_channel_on_its_own(self) -> None:
        flat = np.full((4, 4, 3), 100, np.uint8)
        gains = set()
        for rng in generators(20):
            image, _ = augment(flat, MASK[:4, :4], rng, only(color_cast=0.5), "rgb")
            assert (image == image[0, 0]).all()
            assert ((image >= 50) & (image <= 150)).all()
            gains.add(tuple(image[0, 0].tolist()))
        assert len(gains) == 20
        assert any(len(set(gain)) == 3 for gain in gains)

    @pytest.mark.parametrize("color_space", ["rgb", "hsv", "lab"])
    def test_the_mask_is_left_alone(self, color_space: str) -> None:
        for rng in generators(20):
            image, mask = augment(IMAGE, MASK, rng, LOOKS, color_space)
            np.testing.assert_array_equal(mask, MASK)
            assert image.dtype == np.uint8
            assert image.shape == IMAGE.shape
            assert not np.array_equal(image, IMAGE)

    def test_nothing_is_changed_when_all_is_off(self) -> None:
        image, mask = augment(IMAGE, MASK, np.random.default_rng(0), STILL, "rgb")
        np.testing.assert_array_equal(image, IMAGE)
        np.testing.assert_array_equal(mask, MASK)

    def test_the_given_arrays_are_not_written_to(self) -> None:
        image, mask = IMAGE.copy(), MASK.copy()
        image.flags.writeable = mask.flags.writeable = False
        for color_space in ("rgb", "hsv", "lab"):
            augment(image, mask, np.random.default_rng(3), AugmentationSettings(), color_space)

    @pytest.mark.parametrize("color_space", ["rgb", "gray"])
    def test_brightness_shifts_by_a_fraction_of_full_scale(self, color_space: str) -> None:
        flat = np.full((8, 8, 3 if color_space == "rgb" else 1), 120, np.uint8)
        shifts = [
            int(augment(flat, MASK[:8, :8], rng, only(brightness=0.2), color_space)[0][0, 0, 0])
            - 120
            for rng in generators(300)
        ]
        assert -51 <= min(shifts) < -45
        assert 45 < max(shifts) <= 51
        assert abs(np.mean(shifts)) < 5

    @pytest.mark.parametrize("color_space", ["rgb", "gray"])
    def test_contrast_keeps_the_mean(self, color_space: str) -> None:
        image = (IMAGE // 2 + 64)[..., : 3 if color_space == "rgb" else 1]
        spreads = []
        for rng in generators(50):
            changed, _ = augment(image, MASK, rng, only(contrast=0.4), color_space)
            assert abs(changed.mean() - image.mean()) < 1.0
            spreads.append(changed.std() / image.std())
        assert 0.58 < min(spreads) < 0.7
        assert 1.3 < max(spreads) < 1.42

    def test_hue_and_saturation_leave_gray_alone(self) -> None:
        gray = np.repeat(IMAGE[..., :1], 3, axis=2)
        for rng in generators(20):
            changed, _ = augment(gray, MASK, rng, only(hue=0.5, saturation=1.0), "rgb")
            assert np.abs(changed.astype(int) - gray).max() <= 1

    def test_hue_turns_the_color_circle(self) -> None:
        """In HSV terms: a muted color changes its hue, and only a little else."""
        muted = np.full((4, 4, 3), (150, 110, 110), np.uint8)
        for rng in generators(20):
            changed, _ = augment(muted, MASK[:4, :4], rng, only(hue=0.1), "rgb")
            hue, saturation, _ = cv2.cvtColor(changed, cv2.COLOR_RGB2HSV_FULL)[0, 0].astype(int)
            assert abs((hue + 128) % 256 - 128) <= 27
            assert abs(saturation - 68) < 16

    def test_saturation_keeps_luma(self) -> None:
        muted = (IMAGE // 4 + 96).astype(np.uint8)
        luma = muted @ np.array([0.299, 0.587, 0.114])
        for rng in generators(20):
            changed, _ = augment(muted, MASK, rng, only(saturation=0.8), "rgb")
            assert np.abs(changed @ np.array([0.299, 0.587, 0.114]) - luma).max() < 1.0

    def test_hue_of_hsv_wraps_and_nothing_else_moves(self) -> None:
        shown = np.full((4, 4, 3), (250, 99, 77), np.uint8)
        hues = set()
        for rng in generators(100):
            changed, _ = augment(shown, MASK[:4, :4], rng, only(hue=0.1), "hsv")
            assert changed[0, 0, 1:].tolist() == [99, 77]
            hues.add(int(changed[0, 0, 0]))
        assert all(hue >= 224 or hue <= 20 for hue in hues)
        assert min(hues) < 20 < max(hues)

    def test_lab_without_color_stays_without(self) -> None:
        shown = np.full((4, 4, 3), (100, 128, 128), np.uint8)
        for rng in generators(20):
            changed, _ = augment(shown, MASK[:4, :4], rng, only(hue=0.5, saturation=1.0), "lab")
            np.testing.assert_array_equal(changed, shown)

    def test_gray_has_no_hue(self) -> None:
        image = IMAGE[..., :1]
        changed, _ = augment(
            image, MASK, np.random.default_rng(0), only(hue=0.5, saturation=1.0), "gray"
        )
        np.testing.assert_array_equal(changed, image)


class TestRandomness:
    def test_the_same_generator_gives_the_same_crop(self) -> None:
        first, second = (
            augment(IMAGE, MASK, np.random.default_rng(5), AugmentationSettings(), "rgb")
            for _ in range(2)
        )
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])

    def test_settings_do_not_change_how_much_is_drawn(self) -> None:
        after = []
        for settings in (STILL, MOVES, LOOKS):
            rng = np.random.default_rng(5)
            augment(IMAGE, MASK, rng, settings, "rgb")
            after.append(rng.random())
        assert len(set(after)) == 1
