import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.data.sampling.crops import (
    crop_origin,
    grid_origins,
    object_points,
    read_crop,
    resize,
    share_evenly,
    stack,
)

SHAPES = [(19, 37), (14, 9), (1, 1), (1, 40), (40, 1), (64, 64)]


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class TestReadCrop:
    def test_inside(self) -> None:
        pixels = numbered((19, 37, 3))
        np.testing.assert_array_equal(read_crop(pixels, 4, 7, 11), pixels[4:15, 7:18])

    @given(st.sampled_from(SHAPES), st.integers(-30, 60), st.integers(-30, 60), st.integers(1, 70))
    def test_outside_is_the_image_reflected(
        self, shape: tuple[int, int], top: int, left: int, side: int
    ) -> None:
        pixels = numbered((*shape, 1))
        rows = np.arange(max(top, 0), min(top + side, shape[0]))
        columns = np.arange(max(left, 0), min(left + side, shape[1]))
        if not len(rows) or not len(columns):
            with pytest.raises(ValueError, match="misses"):
                read_crop(pixels, top, left, side)
            return
        crop = read_crop(pixels, top, left, side)
        inside = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        after = (top + side - rows[-1] - 1, left + side - columns[-1] - 1)
        margins = ((rows[0] - top, after[0]), (columns[0] - left, after[1]), (0, 0))
        np.testing.assert_array_equal(crop, np.pad(inside, margins, mode="reflect"))

    def test_is_a_copy(self) -> None:
        pixels = numbered((9, 9))
        read_crop(pixels, 0, 0, 9)[:] = 0
        assert pixels.any()


class TestResized:
    @pytest.mark.parametrize("side", [7, 16, 33, 80])
    def test_masks_keep_their_labels(self, side: int) -> None:
        mask = numbered((32, 32)) % 3 * 7
        assert set(np.unique(resize(mask, side, labels=True))) <= {0, 7, 14}

    @pytest.mark.parametrize("side", [16, 48, 64, 96])
    def test_image_and_mask_share_pixel_centers(self, side: int) -> None:
        mask = np.zeros((32, 32), np.uint8)
        mask[8:20, 12:28] = 1
        labels = resize(mask, side, labels=True)
        image = resize(mask[..., None] * np.uint8(200), side, labels=False)[..., 0]
        assert np.mean((image > 100) == labels) > 0.97
        for axis in (0, 1):
            center_of_labels = np.average(np.indices(labels.shape)[axis], weights=labels)
            center_of_image = np.average(np.indices(image.shape)[axis], weights=image)
            assert abs(center_of_labels - center_of_image) < 0.3

    def test_one_channel_keeps_its_axis(self) -> None:
        assert resize(numbered((9, 9, 1)), 5, labels=False).shape == (5, 5, 1)


class TestObjectPoints:
    def test_every_object_and_only_objects(self) -> None:
        mask = np.zeros((40, 60), np.uint8)
        mask[2:5, 2:5], mask[20:38, 10:50], mask[0, 59] = 1, 1, 1
        points = object_points(mask)
        assert points.shape == (3, 8, 2)
        assert all(mask[row, column] for row, column in points.reshape(-1, 2))
        homes = [{(row < 10, column > 55) for row, column in one} for one in points]
        assert all(len(home) == 1 for home in homes)
        assert len({home.pop() for home in homes}) == 3

    def test_a_ring_has_no_point_in_its_hole(self) -> None:
        mask = np.ones((30, 30), np.uint8)
        mask[5:25, 5:25] = 0
        (ring,) = object_points(mask)
        assert all(mask[row, column] for row, column in ring)

    def test_points_are_spread_over_the_object(self) -> None:
        (one,) = object_points(np.ones((80, 80), np.uint8))
        assert one[0, 0] < 10
        assert one[-1, 0] > 70

    def test_diagonal_neighbors_are_one_object(self) -> None:
        assert len(object_points(np.eye(5, dtype=np.uint8))) == 1

    def test_none(self) -> None:
        assert object_points(np.zeros((5, 5), np.uint8)).shape == (0, 8, 2)


class TestCropOrigin:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("side", [8, 32, 100])
    @pytest.mark.parametrize("with_points", [True, False])
    def test_inside_where_it_can_be_and_around_where_not(
        self, shape: tuple[int, int], side: int, with_points: bool
    ) -> None:
        points = object_points(np.ones(shape, np.uint8)) if with_points else None
        for seed in range(50):
            origin = crop_origin(shape, side, np.random.default_rng(seed), points)
            for first, extent in zip(origin, shape, strict=True):
                if extent >= side:
                    assert 0 <= first <= extent - side
                else:
                    assert extent - side <= first <= 0

    def test_anywhere_reaches_all_corners(self) -> None:
        found = {crop_origin((10, 10), 9, np.random.default_rng(seed), None) for seed in range(60)}
        assert found == {(0, 0), (0, 1), (1, 0), (1, 1)}

    def test_on_an_object_within_a_quarter_of_the_side(self) -> None:
        points = np.full((1, 8, 2), 100, np.int32)
        for seed in range(100):
            top, left = crop_origin((200, 200), 32, np.random.default_rng(seed), points)
            assert abs(top + 16 - 100) <= 8
            assert abs(left + 16 - 100) <= 8

    def test_without_objects_anywhere(self) -> None:
        none = np.empty((0, 8, 2), np.int32)
        assert crop_origin((9, 9), 9, np.random.default_rng(0), none) == (0, 0)


class TestGridOrigins:
    @given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([16, 32, 50]))
    def test_the_whole_grid_covers_every_pixel_and_stays_inside(
        self, height: int, width: int, side: int
    ) -> None:
        cover = np.zeros((height, width), int)
        origins = grid_origins((height, width), side, 10**6)
        for top, left in origins:
            cover[top : top + side, left : left + side] += 1
            assert 0 <= top <= max(0, height - side)
            assert 0 <= left <= max(0, width - side)
        assert cover.min() >= 1
        assert len(origins) == len(set(origins)) == -(-height // side) * -(-width // side)

    @pytest.mark.parametrize("most", [0, 1, 4, 7, 16])
    def test_no_more_than_asked_for(self, most: int) -> None:
        origins = grid_origins((128, 128), 32, most)
        assert len(origins) == len(set(origins)) == most

    def test_a_few_lie_apart(self) -> None:
        origins = np.array(grid_origins((1000, 1000), 100, 8))
        apart = np.abs(origins[:, None] - origins).max(axis=-1)
        assert apart[~np.eye(8, dtype=bool)].min() >= 200
        assert (np.ptp(origins, axis=0) >= 700).all()


class TestSharedEvenly:
    @given(st.integers(0, 200), st.lists(st.integers(1, 30), min_size=1, max_size=20))
    def test_all_are_shared_and_nobody_gets_more_than_there_is(
        self, most: int, available: list[int]
    ) -> None:
        shares = share_evenly(most, available)
        assert sum(shares) == min(most, sum(available))
        assert all(0 <= share <= count for share, count in zip(shares, available, strict=True))
        unfilled = [s for s, count in zip(shares, available, strict=True) if s < count]
        if unfilled:
            assert max(shares) - min(unfilled) <= 1

    def test_fewer_than_images(self) -> None:
        assert share_evenly(2, [9] * 8) == [0, 0, 1, 0, 0, 0, 1, 0]


class TestStacked:
    def test_shapes_and_types(self) -> None:
        crops = [(numbered((8, 8, 3)), numbered((8, 8)) % 2) for _ in range(3)]
        images, masks = stack(crops)
        assert images.shape == (3, 8, 8, 3)
        assert masks.shape == (3, 8, 8, 1)
        assert images.dtype == np.uint8
        assert masks.dtype == np.float32
        np.testing.assert_array_equal(masks[1, ..., 0], crops[1][1])
