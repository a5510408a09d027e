import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dashboards import pyramids
from dashboards.pyramids import (
    APRON,
    TILE,
    count_levels,
    halve,
    halve_mask,
    open_pyramid,
)
from tiledseg.data.disk_quota import ABANDONED_SECONDS
from tiledseg.errors import ImageError
from tiledseg.images.writing import write_image
from tiledseg.prediction.canvas import FOREGROUND


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "pyramids"


def random_image(height, width, channels=3):
    rng = np.random.default_rng(height * width)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def assembled(pyramid, level):
    """The level put together from its tiles, aprons cut off."""
    height, width = pyramid.height, pyramid.width
    for _ in range(level):
        height, width = -(-height // 2), -(-width // 2)
    rows = []
    for row in range(-(-height // TILE)):
        tiles = [pyramid.tile(level, column, row) for column in range(-(-width // TILE))]
        if pyramid.kind == "mask":
            tiles = [tile[APRON:-APRON, APRON:-APRON] for tile in tiles]
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


@pytest.mark.parametrize("shape", [(1, 1), (37, 19), (512, 513), (1025, 700), (1, 1300)])
def test_tiles_of_level_0_are_the_image_exactly(tmp_path, cache, shape):
    image = random_image(*shape)
    write_image(tmp_path / "a.png", image)
    pyramid = open_pyramid(tmp_path / "a.png", "image", cache)
    assert np.array_equal(assembled(pyramid, 0), image)


@pytest.mark.parametrize("shape", [(37, 19), (1025, 700)])
def test_tiles_of_a_mask_are_the_probabilities_exactly(tmp_path, cache, shape):
    values = random_image(*shape, 1)[..., 0]
    write_image(tmp_path / "a.png", values)
    pyramid = open_pyramid(tmp_path / "a.png", "mask", cache)
    assert np.array_equal(assembled(pyramid, 0), values)


def test_aprons_are_the_neighbors_and_repeat_at_the_border(tmp_path, cache):
    values = random_image(600, 600, 1)[..., 0]
    write_image(tmp_path / "a.png", values)
    pyramid = open_pyramid(tmp_path / "a.png", "mask", cache)
    assert np.array_equal(pyramid.tile(0, 0, 0), np.pad(values, 1, "edge")[:514, :514])
    assert np.array_equal(pyramid.tile(0, 1, 1), np.pad(values, 1, "edge")[512:, 512:])


def test_levels_halve_until_one_tile_is_left():
    assert [count_levels(*shape) for shape in ((1, 1), (512, 512), (513, 1), (4096, 4096))] == [
        1, 1, 2, 4,
    ]  # fmt: skip


def test_a_level_is_the_mean_of_the_one_below(tmp_path, cache):
    image = random_image(1025, 700)
    write_image(tmp_path / "a.png", image)
    pyramid = open_pyramid(tmp_path / "a.png", "image", cache)
    padded = np.pad(image, ((0, 1), (0, 0), (0, 0)), "edge").astype(float)
    mean = padded.reshape(513, 2, 350, 2, 3).mean(axis=(1, 3))
    assert np.abs(assembled(pyramid, 1) - mean).max() <= 0.5


def test_small_objects_survive_in_the_levels_above():
    """One foreground pixel in 64: a threshold after averaging would lose it."""
    probability = np.zeros((512, 512), np.uint8)
    probability[::8, ::8] = 200
    level = halve_mask(probability)
    for _ in range(2):
        level = halve(level)
    assert level[..., 0].max() < FOREGROUND
    assert level[..., 1].min() >= 3  # 255 / 64


def test_channels_are_probability_foreground_uncertainty():
    values = np.array([[0, 127, 128, 255]], np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    channels = [[0, 0, 0], [127, 0, 254], [128, 255, 254], [255, 255, 0]]
    assert halve_mask(values).tolist() == [channels]


@pytest.mark.parametrize("place", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -1, 0)])
def test_a_tile_that_does_not_exist(tmp_path, cache, place):
    write_image(tmp_path / "a.png", random_image(40, 40))
    with pytest.raises(ImageError, match="does not exist"):
        open_pyramid(tmp_path / "a.png", "image", cache).tile(*place)


def test_it_is_built_once_even_when_many_ask(tmp_path, cache, monkeypatch):
    write_image(tmp_path / "a.png", random_image(700, 700))
    reads = []
    original = pyramids.read_image
    monkeypatch.setattr(pyramids, "read_image", lambda path: reads.append(path) or original(path))
    asking = [
        threading.Thread(target=open_pyramid, args=(tmp_path / "a.png", "image", cache))
        for _ in range(8)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    open_pyramid(tmp_path / "a.png", "image", cache)
    assert len(reads) == 1


def test_a_changed_file_is_a_new_pyramid(tmp_path, cache):
    write_image(tmp_path / "a.png", random_image(40, 40))
    open_pyramid(tmp_path / "a.png", "image", cache)
    changed = random_image(41, 43)
    write_image(tmp_path / "a.png", changed)
    assert np.array_equal(open_pyramid(tmp_path / "a.png", "image", cache).tile(0, 0, 0), changed)


def test_the_longest_unused_go_when_there_is_no_room(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(pyramids, "MOST_BYTES", 3 * 100 * 100 * 3)
    for number in range(6):
        write_image(tmp_path / f"{number}.png", random_image(100, 100))
        open_pyramid(tmp_path / f"{number}.png", "image", cache)
    assert 1 <= len(list(cache.iterdir())) <= 3
    assert open_pyramid(tmp_path / "5.png", "image", cache).folder.is_dir()


def test_a_pyramid_that_another_thread_removes_is_no_fault(tmp_path, cache, monkeypatch):
    """It is there when the folder is listed, and gone when it is looked at."""
    monkeypatch.setattr(pyramids, "MOST_BYTES", 1)
    write_image(tmp_path / "a.png", random_image(40, 40))
    listed = Path.iterdir

    def with_ghosts(self):
        yield from listed(self)
        yield self / "ghost"

    monkeypatch.setattr(Path, "iterdir", with_ghosts)
    assert open_pyramid(tmp_path / "a.png", "image", cache).folder.is_dir()


def test_drafts_of_killed_servers_are_removed(tmp_path, cache):
    old, new = cache / ".a-1-1", cache / ".b-2-2"
    for draft in (old, new):
        draft.mkdir(parents=True)
        (draft / "0.pixels").write_bytes(b"half of it")
    long_ago = time.time() - 2 * ABANDONED_SECONDS
    for path in (old / "0.pixels", old):
        os.utime(path, (long_ago, long_ago))
    write_image(tmp_path / "a.png", random_image(40, 40))
    open_pyramid(tmp_path / "a.png", "image", cache)
    assert not old.exists()
    assert new.exists()


def test_a_file_that_is_no_image(tmp_path, cache):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ImageError, match=r"a\.png"):
        open_pyramid(tmp_path / "a.png", "image", cache)
