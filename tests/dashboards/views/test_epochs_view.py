"""The page Epochs."""

import re
import shutil

import cv2
import numpy as np
from browser_checks import assert_same
from page_script import open_page, read_words

from dashboards.views import epochs


def artifacts(copy, store):
    return next(copy.glob(f"mlruns/*/{store.good}/artifacts"))


def test_no_run_is_asked_for_pictures_when_the_link_names_one(at_store, monkeypatch):
    def ask(_):
        raise AssertionError("runs were asked")

    monkeypatch.setattr(epochs, "_first_with_pictures", ask)
    page = open_page("epochs", run=at_store.good)
    assert not page.exception
    assert not page.run().exception  # the session names it


def test_at_first_the_newest_run_with_pictures_is_open(at_store):
    assert open_page("epochs").selectbox(key="run").value == at_store.poor


def test_epoch_pictures_are_gone(broken, store):
    shutil.rmtree(artifacts(broken, store) / "images")
    page = open_page("epochs", run=store.good)
    assert not page.exception
    assert "keeps no pictures" in read_words(page)


def test_epochs_are_scrubbed(visitor, store):
    page = visitor.open(f"epochs?run={store.good}")
    visitor.viewer()
    visitor.press("m", "e", "1")
    assert page.locator(".frame").inner_text() == "epoch 4 of 4"
    last = visitor.canvases()["tiled"][3]
    visitor.press(",", ",", ",")
    assert page.locator(".frame").inner_text() == "epoch 1 of 4"
    page.wait_for_url(re.compile("epoch=1"))
    visitor.ready()
    left, top, scale, pixels = visitor.canvases()["tiled"]
    assert not np.array_equal(pixels, last)
    folder = next(store.folder.glob(f"mlruns/*/{store.good}/artifacts/images"))
    (name,) = folder.glob("*tiled+step+1+*.png")
    assert_same((left, top, scale, pixels), cv2.imread(str(name), cv2.IMREAD_GRAYSCALE))


def test_epochs_are_kept_in_the_address_when_somebody_chose_one(visitor, store):
    """Opening and moving is no choice: the newest epoch of a training is to be followed."""
    page = visitor.open(f"epochs?run={store.good}")
    visitor.viewer()
    visitor.press("+")
    page.wait_for_url(re.compile("view="))
    page.wait_for_timeout(2000)
    visitor.settle()
    assert "epoch=" not in page.url
    canvas = page.locator(".stage canvas").first.element_handle()
    visitor.press(",")
    page.wait_for_url(re.compile("epoch=3"))
    assert not canvas.evaluate("canvas => canvas.isConnected")
    canvas = page.locator(".stage canvas").first.element_handle()
    page.wait_for_timeout(2000)
    visitor.settle()
    assert canvas.evaluate("canvas => canvas.isConnected")  # running again draws nothing anew
