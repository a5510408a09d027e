import numpy as np
import pytest

from tiledseg.data.prepare.windows import Window, object_windows, tile_windows

SHAPES = [(1, 1), (19, 37), (64, 64), (65, 63), (200, 130)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (16, 5), (16, 11), (64, 32)])
class TestTiles:
    def test_cover_every_pixel_from_inside(self, shape, tile, overlap):
        covered = np.zeros(shape, int)
        for window in tile_windows(shape, tile, overlap):
            assert min(window.top, window.left) >= 0
            assert covered[window.slices].shape == (window.height, window.width)
            assert (window.height, window.width) == tuple(min(tile, side) for side in shape)
            covered[window.slices] += 1
        assert covered.min() == 1 or overlap

    def test_share_no_less_than_the_overlap(self, shape, tile, overlap):
        windows = list(tile_windows(shape, tile, overlap))
        for starts in ({w.top for w in windows}, {w.left for w in windows}):
            ordered = sorted(starts)
            gaps = np.diff(ordered)
            assert (gaps <= tile - overlap).all()
            assert (gaps[:-1] == tile - overlap).all()  # the last alone is moved back


class TestObjects:
    def test_one_window_around_each_with_the_object_in_it(self):
        mask = np.zeros((100, 80), np.uint8)
        mask[0:4, 0:4] = mask[50:60, 40:44] = mask[95:100, 78:80] = 1
        windows = object_windows(mask, 20)
        assert windows == [Window(0, 0, 20, 20), Window(45, 32, 20, 20), Window(80, 60, 20, 20)]

    def test_a_large_object_is_not_cut(self):
        mask = np.zeros((100, 80), np.uint8)
        mask[10:60, 20:30] = 1
        assert object_windows(mask, 20) == [Window(10, 15, 50, 20)]

    def test_corners_touch_and_twins_come_once(self):
        mask = np.zeros((30, 30), np.uint8)
        mask[3, 3] = mask[4, 4] = 1
        mask[0, 10] = 1
        assert object_windows(mask, 30) == [Window(0, 0, 30, 30)]

    def test_nothing_marked_gives_nothing(self):
        assert object_windows(np.zeros((30, 30), np.uint8), 8) == []

    def test_an_image_smaller_than_the_window(self):
        mask = np.ones((5, 9), np.uint8)
        assert object_windows(mask, 20) == [Window(0, 0, 5, 9)]
