"""The page Epochs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import mlflow
import numpy as np
import pytest
from browser_checks import assert_same, faults_of
from checkpoint_run import make_run
from dashboard_server import start_server, stop_server
from logged_models import log_model
from page_script import open_page, read_words
from store_folder import copy_store, environment_of
from visitor import Visitor

from dashboards.views import epochs
from tiledseg.images.reading import read_image, read_mask
from tiledseg.tracking.registry import load_predictor


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


class Place(NamedTuple):
    """A store of its own, which may be changed, and a visitor of its dashboard."""

    folder: Path
    environment: dict[str, str]
    visitor: Visitor

    def predict(self, model, image, output):
        """``tiledseg predict``; gives the mask that it writes."""
        words = ["predict", "--model", model, "--output", str(output), str(image)]
        subprocess.run(
            [sys.executable, "-m", "tiledseg", *words],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
        )
        return read_mask(output / f"{image.stem}.png") * np.uint8(255)


@pytest.fixture
def place(store, tmp_path, chromium):
    folder = tmp_path / "place"
    copy_store(store.folder, folder)
    environment = environment_of(folder)
    mlflow.set_tracking_uri(environment["MLFLOW_TRACKING_URI"])
    server = start_server(environment, folder)
    visitor = Visitor(chromium, server.address)
    try:
        yield Place(folder, environment, visitor)
        visitor.close()
        assert visitor.faults == []
    finally:
        stop_server(server)


class TestCheckpoints:
    def test_one_is_opened_at_full_size_promoted_and_used(self, place, store, tmp_path):
        client, visitor = mlflow.MlflowClient(), place.visitor
        client.delete_model_version("Discs", "1")  # the best epoch, else only it could be promoted
        page = visitor.open(f"epochs?run={store.good}")
        table = page.locator(".scores")
        kept = table.locator("tbody th").all_inner_texts()
        assert len(kept) == 3
        other = next(int(text) for text in kept if text.isdecimal())
        table.get_by_role("button", name=str(other), exact=True).click()
        page.wait_for_url(re.compile(f"show=checkpoint.*checkpoint={other}"))
        page.get_by_text(f"Epoch {other} on disc 2: Dice").wait_for()
        visitor.viewer()
        visitor.press("m", "e", "1")
        image = place.folder / "data/Discs/valid/images/disc 2.png"
        by_epoch = place.predict(f"runs:/{store.good}@epoch={other}", image, tmp_path / "epoch")
        shown = visitor.canvases()
        assert_same(shown["a"], by_epoch)
        assert_same(shown["image"], read_image(image))
        assert_same(
            shown["target"],
            read_mask(store.folder / "data/Discs/valid/masks/disc 2.png") * np.uint8(255),
        )
        visitor.press("n")
        page.get_by_text(f"Epoch {other} on disc 3: Dice").wait_for()
        page.get_by_role("button", name=f"Promote epoch {other} to champion").click()
        page.get_by_text("on the validation images of its run").wait_for()
        assert page.get_by_text("The champion, version 2, has").count()
        assert str(client.get_model_version_by_alias("Discs", "champion").version) == "2"
        page.get_by_role("button", name="Promote", exact=True).click()
        page.get_by_text(f"Epoch {other} is version 3 of Discs and champion now").wait_for()
        assert str(client.get_model_version_by_alias("Discs", "champion").version) == "3"
        table.locator("[aria-current=true]").get_by_text("v3, champion").wait_for()
        by_name = place.predict("models:/Discs@champion", image, tmp_path / "champion")
        assert np.array_equal(by_name, by_epoch)
        assert faults_of(page) == []
        visitor.open("models")
        page.get_by_text(f"This is epoch {other} of its run").wait_for()
        page.get_by_role("link", name=f"Masks of epoch {other}").click()
        page.wait_for_url(re.compile(f"checkpoint={other}"))
        page.get_by_text(f"Epoch {other} on disc").wait_for()
        visitor.open("compare")
        page.get_by_text("v3, champion is a promoted checkpoint").wait_for()
        assert "v3" not in page.get_by_role("combobox", name="A", exact=True).input_value()

    def test_a_training_goes_on_while_one_is_open(self, place, monkeypatch):
        """What is new appears by itself, what is open stays, also when it falls out."""
        for name, value in place.environment.items():
            monkeypatch.setenv(name, value)
        client, visitor = mlflow.MlflowClient(), place.visitor
        predictor = load_predictor("models:/Discs/2")
        run_id = make_run(predictor.experiment, [predictor] * 2, status="RUNNING")
        page = visitor.open(f"epochs?run={run_id}&show=checkpoint&checkpoint=1")
        visitor.press("+", "+")
        where = page.locator(".scale").inner_text()
        canvas = page.locator(".stage canvas").first.element_handle()
        log_model(predictor, run_id, 3)
        client.log_metric(run_id, "val_dice", 0.7, step=3)
        rows = page.locator(".scores tbody th")
        rows.get_by_text("3, best").wait_for()
        assert rows.all_inner_texts() == ["3, best", "2", "1"]
        assert canvas.evaluate("canvas => canvas.isConnected")
        assert page.locator(".scale").inner_text() == where
        (first,) = [
            model
            for model in client.search_logged_models(
                [client.get_run(run_id).info.experiment_id], f"source_run_id = '{run_id}'"
            )
            if model.tags["tiledseg.epoch"] == "1"
        ]
        client.delete_logged_model(first.model_id)
        page.get_by_text("not among the best any more").wait_for()
        assert rows.all_inner_texts() == ["3, best", "2"]
        assert canvas.evaluate("canvas => canvas.isConnected")
        assert page.get_by_text("Epoch 1 on disc").count()
        assert page.get_by_role("button", name=re.compile("Promote")).count() == 0
