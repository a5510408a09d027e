"""Files of predictions get their names in order, whole, and flushed to the disk."""

import errno
import os
import shutil
import threading
import time

import pytest
from watched_disk import watch_disk

from tiledseg.errors import ImageError, OutputError
from tiledseg.images.place_lock import PlaceLock
from tiledseg.prediction import naming
from tiledseg.prediction.files import predict_files
from tiledseg.prediction.job import predict_image
from tiledseg.prediction.options import PredictionOptions


@pytest.fixture
def images(write_slides):
    return write_slides("abcdef")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("large", [50.0, 0.001], ids=["in memory", "streamed"])
@pytest.mark.parametrize("form", ["png", "ome-tiff", "ome-zarr"])
def test_all_bytes_are_on_the_disk_before_a_name_is(
    slide_predictor, images, out, monkeypatch, form, large
):
    monkeypatch.setattr("tiledseg.prediction.job.LARGE", large)
    disk = watch_disk(monkeypatch)
    options = PredictionOptions(format=form, with_objects=True)
    predict_files(slide_predictor, images[:2], out, options, with_overlay=True)
    assert len(disk.named) == 2 * 5
    assert disk.unflushed(out) == []
    for folder in (out, out / "objects", out / "overlay"):
        assert folder.stat().st_ino in disk.flushed
    predict_image(slide_predictor, images[2], out, options)
    assert len(disk.named) == 2 * 5 + 4
    assert disk.unflushed(out) == []


def test_names_come_in_order_while_the_disk_is_slow(slide_predictor, images, out, monkeypatch):
    fsync = os.fsync

    def slow(descriptor):
        time.sleep(0.05)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    monkeypatch.setattr(naming, "_MOST", 2)
    told, waiting = [], []

    def observe(predicted):
        told.append(predicted.image)
        waiting.append(len([path for path in out.iterdir() if path.name.endswith(".lock")]))
        assert predicted.mask.is_file()

    done = predict_files(slide_predictor, images, out, observer=observe)
    assert told == [each.image for each in done] == images
    assert max(waiting) <= 2
    assert names_in(out) == [f"{path.stem}.png" for path in images]


def test_what_was_predicted_before_an_error_has_its_name(slide_predictor, images, out, monkeypatch):
    images[3].write_bytes(b"no TIFF")
    monkeypatch.setattr("tiledseg.prediction.files.slide_shape", lambda _: (150, 210))
    told = []
    with pytest.raises(ImageError, match=r"d\.tif"):
        predict_files(slide_predictor, images, out, observer=told.append)
    assert [each.image for each in told] == images[:3]
    assert names_in(out) == ["a.png", "b.png", "c.png"]


def test_a_disk_that_is_found_full_by_the_flush(slide_predictor, images, out, monkeypatch):
    flushes, fsync = [], os.fsync

    def full(descriptor):
        flushes.append(descriptor)
        if len(flushes) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(naming, "_FLUSHES", 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"b\.png: cannot be written \(No space left"):
        predict_files(slide_predictor, images, out)
    assert names_in(out) == ["a.png"]
    monkeypatch.setattr(os, "fsync", fsync)
    predict_files(slide_predictor, images, out, PredictionOptions(skip_existing=True))
    assert names_in(out) == [f"{path.stem}.png" for path in images]


def test_images_that_another_process_makes_meanwhile_are_left_alone(slide_predictor, images, out):
    predict_files(slide_predictor, images, out.with_name("other"))
    before = {}

    def make_too(predicted):
        if not before:
            for path in images[4:]:
                shutil.copy(out.with_name("other") / f"{path.stem}.png", out)
                before[path.stem] = (out / f"{path.stem}.png").stat().st_mtime_ns

    options = PredictionOptions(skip_existing=True, on_tiles=lambda *_: time.sleep(0.01))
    done = predict_files(slide_predictor, images, out, options, observer=make_too)
    assert [each.image for each in done] == images[:4]
    for stem, moment in before.items():
        assert (out / f"{stem}.png").stat().st_mtime_ns == moment


def test_what_exists_is_refused_before_it_is_predicted(slide_predictor, images, out):
    """Another process may have made it since the first look."""
    begun = []
    options = PredictionOptions(on_tiles=lambda image, *_: begun.append(image))

    def make_too(_):
        (out / "f.png").write_text("of somebody else")

    with pytest.raises(OutputError, match=r"f\.png exists"):
        predict_files(slide_predictor, images, out, options, observer=make_too)
    assert images[5] not in begun
    assert names_in(out) == [f"{path.stem}.png" for path in images]
    assert (out / "f.png").read_text() == "of somebody else"


def test_small_images_belong_to_one_process_until_they_have_their_names(
    slide_predictor, images, out
):
    out.mkdir()
    lock = PlaceLock(out / "b")
    with pytest.raises(OutputError, match=r"b: this process is writing it; .* another --output"):
        predict_files(slide_predictor, images, out)
    lock.release()
    assert names_in(out) == ["a.png"]


def test_pixels_are_given_back_before_the_names_come(slide_predictor, images, out, monkeypatch):
    """Sixteen large images would be a gigabyte."""
    kept, go = [], threading.Event()
    flush = naming.flush

    def wait(paths):
        go.wait(30)
        flush(paths)

    monkeypatch.setattr(naming, "flush", wait)
    monkeypatch.setattr(naming, "_MOST", 3)

    class Watched(naming.Unnamed):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            kept.append(self._workplace.canvas)
            if len(kept) == 3:
                sizes = [canvas.probabilities[0]._pixels.size for canvas in kept]
                go.set()
                assert sizes == [0, 0, 0]

    monkeypatch.setattr("tiledseg.prediction.job.Unnamed", Watched)
    predict_files(slide_predictor, images[:3], out)
    assert len(kept) == 3


@pytest.mark.parametrize("large", [50.0, 0.001], ids=["in memory", "streamed"])
def test_the_longest_names_are_written(slide_predictor, images, out, monkeypatch, large):
    monkeypatch.setattr("tiledseg.prediction.job.LARGE", large)
    long = [images[0].with_name(f"{'n' * 244}{letter}.tif") for letter in "xy"]
    for source, path in zip(images, long, strict=False):
        source.rename(path)
    options = PredictionOptions(with_objects=True)
    predict_files(slide_predictor, long, out, options, with_overlay=True)
    assert names_in(out) == [*(f"{path.stem}.png" for path in long), "objects", "overlay"]
