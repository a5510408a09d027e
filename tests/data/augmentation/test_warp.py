"""The warped mask is the mask of the warped coordinates, for every change and for all together.

The coordinates are had from the same door: a mask that holds its own columns, and one that holds
its rows, warped with the same seed, say where each pixel came from.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.config import AugmentationSettings
from tiledseg.data.augmentation.augment import augment
from tiledseg.data.sampling.crops import Window

STILL: dict[str, object] = {
    "hflip": False,
    "vflip": False,
    "quarter_turns": False,
    **dict.fromkeys(("brightness", "contrast", "color_cast", "hue", "saturation"), 0.0),
}
WARPS: dict[str, dict[str, object]] = {
    "flips": {"hflip": True, "vflip": True, "quarter_turns": True},
    "rotation": {"rotation": 180.0},
    "shear": {"shear": 0.4},
    "elastic": {"elastic": 3.0, "elastic_smoothness": 8.0},
    "wide elastic": {"elastic": 6.0, "elastic_smoothness": 40.0},
    "folding elastic": {"elastic": 20.0, "elastic_smoothness": 4.0},
    "grid": {"grid_distortion": 0.1},
    "barrel": {"barrel": 0.9},
    "pincushion": {"pincushion": 0.9, "lens_radius": 1.0},
}
ALL = {key: value for changes in WARPS.values() for key, value in changes.items()}
EVERYTHING = ALL | {
    "stain": 0.3, "gamma": 0.5, "blur": 2.0, "sharpening": 1.0, "noise": 0.05, "jpeg": 60,
    "brightness": 0.2, "contrast": 0.3, "color_cast": 0.3, "hue": 0.1, "saturation": 0.5,
}  # fmt: skip
SMOOTH = {name: changes for name, changes in WARPS.items() if name != "folding elastic"}
"""Between folds, what is interpolated lies far from its neighbors."""
SIDE = 96
COLUMNS, ROWS = np.meshgrid(np.arange(SIDE, dtype=np.uint8), np.arange(SIDE, dtype=np.uint8))
LABELS = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
NO_IMAGE = np.zeros((SIDE, SIDE, 1), np.uint8)
WINDOWS = [None, Window(0, 0, SIDE, SIDE), Window(20, 30, 40, 64), Window(-30, 10, 150, 50)]


def chosen(**changes: object) -> AugmentationSettings:
    return AugmentationSettings.model_validate(STILL | changes)


def warped(
    mask: np.ndarray,
    seed: int,
    settings: AugmentationSettings,
    window: Window | None,
    image: np.ndarray = NO_IMAGE,
) -> tuple[np.ndarray, np.ndarray]:
    space = "rgb" if image.shape[2] == 3 else "gray"
    return augment(image, mask, np.random.default_rng(seed), settings, space, window)


class TestMasks:
    @pytest.mark.parametrize("window", WINDOWS)
    @pytest.mark.parametrize("changes", [*WARPS.values(), ALL, EVERYTHING])
    def test_are_the_mask_of_the_warped_coordinates(
        self, changes: dict[str, object], window: Window | None
    ) -> None:
        settings = chosen(**changes)
        for seed in range(4):
            columns, rows, labels = (
                warped(mask, seed, settings, window)[1] for mask in (COLUMNS, ROWS, LABELS)
            )
            np.testing.assert_array_equal(labels, LABELS[rows, columns])

    @given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.booleans())
    def test_hold_no_new_labels_whatever_their_shape(
        self, seed: int, height: int, width: int, windowed: bool
    ) -> None:
        rng = np.random.default_rng(seed)
        mask = rng.choice(np.array([0, 3, 97, 255], np.uint8), (height, width))
        window = None
        if windowed:
            window = Window(min(0, height - 32), min(0, width - 32), 32, 32)
        image = np.zeros((height, width, 3), np.uint8)
        crop, labels = warped(mask, seed, chosen(**EVERYTHING), window, image)
        assert set(np.unique(labels)) <= set(np.unique(mask))
        assert crop.shape[:2] == labels.shape
        assert crop.shape[2] == 3
        assert crop.dtype == labels.dtype == np.uint8
        assert labels.size == (32 * 32 if windowed else mask.size)


class TestImages:
    @pytest.mark.parametrize("window", WINDOWS)
    @pytest.mark.parametrize("changes", [*SMOOTH.values(), ALL | SMOOTH["wide elastic"]])
    def test_lie_where_their_masks_lie(
        self, changes: dict[str, object], window: Window | None
    ) -> None:
        """Image and mask are both their columns, and rows: they differ by a rounding at most."""
        for ramp in (COLUMNS, ROWS):
            for seed in range(4):
                image, mask = warped(ramp, seed, chosen(**changes), window, ramp[..., np.newaxis])
                apart = np.abs(image[..., 0].astype(int) - mask)
                assert apart.max() <= 1
                assert (apart == 0).mean() > 0.85

    def test_stay_equal_to_their_masks_up_to_interpolation(self) -> None:
        """A disc that is its own mask; all of its outline is where both are unsure."""
        disc = ((COLUMNS.astype(int) - 50) ** 2 + (ROWS.astype(int) - 44) ** 2 < 900).astype(
            np.uint8
        )
        image = np.repeat(disc[..., np.newaxis] * np.uint8(255), 3, axis=2)
        for seed in range(20):
            shown, mask = warped(disc, seed, chosen(**ALL | SMOOTH["wide elastic"]), None, image)
            agree = (shown[..., 1] > 127) == (mask > 0)
            assert agree.mean() > 0.97

    @pytest.mark.parametrize("color_space", ["hsv", "lab"])
    def test_no_color_appears_between_two_hues(self, color_space: str) -> None:
        """Red on both sides of the circle's end, hue 1 and hue 254: nothing between is cyan."""
        first = {"hsv": (1, 220, 200), "lab": (130, 190, 170)}[color_space]
        second = {"hsv": (254, 220, 200), "lab": (130, 192, 168)}[color_space]
        image = np.where((COLUMNS % 2 > 0)[..., np.newaxis], first, second).astype(np.uint8)
        shown, _ = augment(
            image, LABELS, np.random.default_rng(3), chosen(rotation=90.0), color_space
        )
        if color_space == "hsv":
            assert ((shown[..., 0] < 12) | (shown[..., 0] > 243)).all()
        else:
            assert np.ptp(shown[..., 1]) < 12


class TestEachWarp:
    """What a change does, seen from the coordinates it reads."""

    def places(self, seed: int, **changes: object) -> tuple[np.ndarray, np.ndarray]:
        columns, rows = (
            warped(mask, seed, chosen(**changes), Window(16, 16, 64, 64))[1].astype(int)
            for mask in (COLUMNS, ROWS)
        )
        return columns, rows

    def test_rotation_keeps_distances_and_reaches_its_limit(self) -> None:
        angles = []
        for seed in range(40):
            columns, rows = self.places(seed, rotation=30.0)
            way = np.array([columns[32, 56] - columns[32, 8], rows[32, 56] - rows[32, 8]])
            assert abs(np.hypot(*way) - 48) < 1.5
            angles.append(np.rad2deg(np.arctan2(way[1], way[0])))
        assert -32 < min(angles) < -22
        assert 22 < max(angles) < 32

    def test_a_turn_by_a_right_angle_is_a_quarter_turn(self) -> None:
        """The window's corners come from what lies around it, not from a reflection."""
        for seed in range(60):
            columns, rows = self.places(seed, rotation=45.0)
            if abs(columns[0, 0] - columns[-1, 0]) > 40:
                break
        assert columns.min() < 12
        assert rows.max() > 83

    def test_shear_moves_rows_by_their_distance_from_the_middle(self) -> None:
        slants = set()
        for seed in range(20):
            columns, rows = self.places(seed, shear=0.4)
            moved = columns[60, 32] - columns[4, 32]
            assert abs(moved) <= 0.4 * 56 + 1
            assert abs(rows[32, 32] - 47.5) <= 1
            slants.add(int(moved))
        assert min(slants) < -12
        assert max(slants) > 12

    def test_elastic_displaces_by_what_was_asked_for(self) -> None:
        """From nothing to 4 pixels, evenly: 4 / sqrt(3) over all.

        A crop holds few displacements that are independent, so its own spread varies.
        """
        moves = []
        for seed in range(30):
            columns, rows = self.places(seed, elastic=4.0, elastic_smoothness=8.0)
            moves += [columns - COLUMNS[16:80, 16:80], rows - ROWS[16:80, 16:80]]
        assert 1.8 < np.std(moves) < 2.9
        assert 3.0 < max(np.std(move) for move in moves) < 6.0
        assert abs(np.mean(moves)) < 0.5

    def test_grid_distortion_stays_within_its_bounds(self) -> None:
        most = 0
        for seed in range(30):
            columns, _ = self.places(seed, grid_distortion=0.1)
            most = max(most, np.abs(columns - COLUMNS[16:80, 16:80]).max())
        assert 4 <= most <= 0.1 * 64 * 1.5 + 1

    @pytest.mark.parametrize(("name", "grows"), [("barrel", True), ("pincushion", False)])
    def test_lenses_grow_or_shrink_their_center_and_never_fold(
        self, name: str, grows: bool
    ) -> None:
        steps = []
        for seed in range(20):
            columns, rows = self.places(seed, **{name: 0.9})
            assert (np.diff(columns, axis=1) >= 0).all()
            assert (np.diff(rows, axis=0) >= 0).all()
            steps.append(np.diff(columns[:, ::8], axis=1))
        extreme = np.min(steps) if grows else np.max(steps)
        assert extreme <= 2 if grows else extreme >= 12


class TestTheWindow:
    def test_without_a_warp_it_is_what_was_cut_and_resized(self) -> None:
        _, rows = warped(ROWS, 1, chosen(), Window(10, 20, 32, 32))
        np.testing.assert_array_equal(rows, ROWS[10:42, 20:52])

    @pytest.mark.parametrize("size", [32, 48, 96])
    def test_a_warp_that_does_nothing_shows_the_same_place_turned_alike(self, size: int) -> None:
        flips = WARPS["flips"]
        for seed, window in enumerate([Window(10, 20, 48, size), Window(-8, 30, 48, size)] * 6):
            for mask in (ROWS, COLUMNS):
                _, plain = warped(mask, seed, chosen(**flips), window)
                _, moved = warped(mask, seed, chosen(**flips, elastic=1e-6), window)
                assert np.abs(plain.astype(int) - moved).max() <= 1

    def test_fine_detail_is_smoothed_where_the_image_shrinks(self) -> None:
        """A chequerboard of single pixels, shown at a third: gray, not a pattern of its own."""
        board = (((COLUMNS.astype(int) + ROWS) % 2) * 255).astype(np.uint8)
        image, _ = warped(
            LABELS, 0, chosen(rotation=20.0), Window(0, 0, 96, 32), board[..., np.newaxis]
        )
        assert image.std() < 8


class TestRandomness:
    def test_the_same_generator_gives_the_same_crop(self) -> None:
        image = np.repeat(LABELS[..., np.newaxis], 3, axis=2)
        first, second = (
            warped(LABELS, 5, chosen(**EVERYTHING), WINDOWS[2], image) for _ in range(2)
        )
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])

    def test_crops_drawn_one_after_another_differ(self) -> None:
        rng = np.random.default_rng(5)
        settings = chosen(rotation=40.0, elastic=5.0, noise=0.1)
        first, second = (augment(NO_IMAGE, LABELS, rng, settings, "gray") for _ in range(2))
        assert (first[1] != second[1]).mean() > 0.9
        assert (first[0] != second[0]).mean() > 0.3

    def test_warps_and_optics_do_not_change_how_much_is_drawn(self) -> None:
        after = []
        for changes in ({}, ALL, EVERYTHING):
            rng = np.random.default_rng(5)
            augment(NO_IMAGE, LABELS, rng, chosen(**changes), "gray")
            after.append(rng.random())
        assert len(set(after)) == 1
