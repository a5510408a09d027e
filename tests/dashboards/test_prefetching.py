"""Tiles are there before they are asked for."""

import threading
import time

import numpy as np
import pytest

from dashboards import prefetching, pyramids
from dashboards.pictures import Picture
from dashboards.prefetching import MOST_WAITING, prefetch
from dashboards.pyramids import found_pyramid
from tiledseg.data.image_writing import write_image


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def cut(monkeypatch):
    """Names of the pictures that were cut, in order; nothing is while ``gate`` is closed."""
    done, gate = [], threading.Event()

    def watched(path, kind, label=None):
        gate.wait()
        done.append(path.name)

    monkeypatch.setattr(prefetching, "open_pyramid", watched)
    yield done, gate
    gate.set()


def test_what_is_prefetched_is_cut_and_what_cannot_be_read_hurts_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(pyramids, "_home", lambda: tmp_path / "cache")
    write_image(tmp_path / "a.png", np.full((40, 60, 3), 9, np.uint8))
    write_image(tmp_path / "m.png", np.full((40, 60), 255, np.uint8))
    (tmp_path / "broken.png").write_text("no picture")
    broken, gone = (Picture(tmp_path / name, "image") for name in ("broken.png", "gone.png"))
    prefetch([broken, gone, Picture(tmp_path / "a.png", "image")])
    until(lambda: found_pyramid(tmp_path / "a.png", "image"))
    prefetch([broken, Picture(tmp_path / "m.png", "mask")])
    until(lambda: found_pyramid(tmp_path / "m.png", "mask"))


def test_the_latest_come_first_and_the_oldest_are_forgotten(tmp_path, cut):
    done, gate = cut
    prefetch([Picture(tmp_path / f"held{n}", "image") for n in range(prefetching.AT_ONCE)])
    until(lambda: not prefetching._waiting)
    for page in range(MOST_WAITING):
        prefetch([Picture(tmp_path / f"{page}{name}", "image") for name in "ab"])
    last = MOST_WAITING - 1
    prefetch([Picture(tmp_path / f"{last - 1}a", "image")])
    gate.set()
    until(lambda: len(done) == prefetching.AT_ONCE + MOST_WAITING)
    order = done[prefetching.AT_ONCE :]
    assert len(set(order)) == MOST_WAITING
    assert order[0] == f"{last - 1}a"
    assert set(order[1:3]) == {f"{last}a", f"{last}b"}
    assert "0a" not in order
