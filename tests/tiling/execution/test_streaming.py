import threading

import numpy as np
import pytest

from tiledseg.errors import ImageError, OutputError, TilingError
from tiledseg.tiling.execution.streaming import BATCH_PIXELS, predict_regions
from tiledseg.tiling.geometry.blend import plan_blend_grid
from tiledseg.tiling.geometry.grid import plan_grid
from tiledseg.tiling.geometry.regions import ArraySink, ArraySource

GRID = plan_grid(90, 110, halo=3, stride=4, max_tile=32)


def as_floats(windows):
    return windows.astype(np.float32)


def run(identity, source, sink, grid=GRID, forward=as_floats, **options):
    predict_regions(identity, source, sink, grid=grid, forward=forward, **options)


def test_small_windows_go_together_up_to_a_limit(identity, noise):
    image, lengths = noise(90, 110), []

    def forward(windows):
        lengths.append(len(windows))
        return as_floats(windows)

    sink = ArraySink(90, 110, 3)
    run(identity, ArraySource(image), sink, forward=forward)
    np.testing.assert_array_equal(sink.values, image)
    assert sum(lengths) == len(GRID.tiles)
    area = GRID.tile_shape[0] * GRID.tile_shape[1]
    assert 1 < max(lengths) <= BATCH_PIXELS // area
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("windows", [0, 1, 2, 3])
def test_fewer_windows_where_the_memory_has_no_room_for_more(identity, noise, windows):
    area, lengths = GRID.tile_shape[0] * GRID.tile_shape[1], []

    def forward(batch):
        lengths.append(len(batch))
        return as_floats(batch)

    sink, image = ArraySink(90, 110, 3), noise(90, 110)
    most = windows * area + area // 2
    run(identity, ArraySource(image), sink, forward=forward, most_pixels=most)
    np.testing.assert_array_equal(sink.values, image)
    assert max(lengths) == max(1, windows)


class Failing:
    """A source and a sink that fail at their third rectangle."""

    shape = (90, 110, 3)

    def __init__(self, error):
        self.error, self.left = error, 3

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise self.error

    def read(self, region):
        self._count()
        return np.zeros((*(span.stop - span.start for span in region), 3), np.uint8)

    def write(self, region, values):
        self._count()


@pytest.mark.parametrize("error", [ImageError("cut off"), OSError(28, "disk full")])
def test_what_the_source_raises_comes_out(identity, error):
    with pytest.raises(type(error)) as caught:
        run(identity, Failing(error), ArraySink(90, 110, 3))
    assert caught.value is error


@pytest.mark.parametrize("error", [OutputError("disk full"), OSError(28, "disk full")])
def test_what_the_sink_raises_comes_out_and_nothing_runs_on(identity, noise, error):
    before = set(threading.enumerate())
    told = []
    with pytest.raises(type(error)) as caught:
        run(identity, ArraySource(noise(90, 110)), Failing(error), on_batch=told.append)
    assert caught.value is error
    assert told == []
    assert set(threading.enumerate()) <= before  # others may end meanwhile


def test_batches_are_told_after_they_were_written(identity, noise):
    sink = ArraySink(90, 110, 3)
    sink.values[:] = np.nan

    def check(indices):
        for index in indices:
            assert np.isfinite(sink.values[GRID.tiles[index].core]).all()
            seen.append(index)

    seen = []
    run(identity, ArraySource(noise(90, 110)), sink, on_batch=check)
    assert seen == list(range(len(GRID.tiles)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_placed(identity, noise, value):
    image = noise(90, 110)
    image[image == 77] = 78
    image[57, 81, 1] = 77

    def forward(windows):
        return np.where(windows == 77, np.float32(value), as_floats(windows))

    with pytest.raises(TilingError, match="NaN or infinity at row 57, column 81;"):
        run(identity, ArraySource(image), ArraySink(90, 110, 3), forward=forward)


def test_an_answer_of_another_size(identity, noise):
    with pytest.raises(TilingError, match="must return its input's size"):
        run(
            identity,
            ArraySource(noise(90, 110)),
            ArraySink(90, 110, 3),
            forward=lambda windows: as_floats(windows)[:, ::2],
        )


def test_a_grid_of_another_image(identity, noise):
    with pytest.raises(TilingError, match=r"image is \(90, 100\) pixels, the grid's \(90, 110\)"):
        run(identity, ArraySource(noise(90, 100)), ArraySink(90, 100, 3))


def test_blended_windows_run_on_beyond_a_small_image(identity, noise):
    image = noise(9, 70)
    grid = plan_blend_grid(9, 70, tile_shape=(24, 24), overlap=0.5)
    sink = ArraySink(9, 70, 3)
    run(identity, ArraySource(image), sink, grid=grid)
    np.testing.assert_allclose(sink.values, image, atol=1e-3)


def test_nothing_left_to_do(identity, noise):
    done = frozenset(range(len(GRID.tiles)))
    sink = ArraySink(90, 110, 3)
    run(identity, ArraySource(noise(90, 110)), sink, finished=done, on_batch=pytest.fail)
    assert not sink.values.any()
