"""Opening and promoting a checkpoint on the page Epochs, without a browser."""

import shutil

import cv2
import mlflow
import numpy as np
import pytest
from checkpoint_page import click, labels, open_checkpoint, settle
from checkpoint_run import make_predictors, make_run
from logged_models import log_model
from page_script import open_page, read_words

from dashboards import store
from dashboards.checkpoints import confirmation, mask_store
from dashboards.checkpoints.checkpoint_table import network_of
from dashboards.checkpoints.mask_store import score_network
from dashboards.segmentation import Segmentation
from dashboards.views import epochs
from tiledseg.errors import RegistryError
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_probability
from tiledseg.tracking.champions import ValidationScore
from tiledseg.tracking.checkpoint_summaries import read_checkpoints
from tiledseg.tracking.names import CHAMPION
from tiledseg.tracking.registry import register


def scored(dice):
    return ValidationScore(dice, 2, ("foreground",))


@pytest.fixture
def client(own_tables):
    return mlflow.MlflowClient()


@pytest.fixture(autouse=True)
def _quick_networks(monkeypatch):
    """What is dark is an object; checkpoints see it larger than it is, versions as it is."""

    def segment(uri, image, modes, *, folder, report, **_):
        report(0.5, "tile 1 of 2")
        found = (read_image(image).mean(axis=2) < 170).astype(np.uint8)
        if uri.startswith("models:/m-"):
            found = cv2.dilate(found, np.ones((5, 5), np.uint8))
        masks = {mode: folder / f"{mode}.png" for mode in modes}
        for path in masks.values():
            write_probability(path, 0.9 * found)
        labels = ("background", "foreground")
        return Segmentation(image, masks, {}, {"rows": [], "columns": []}, labels=labels)

    monkeypatch.setattr(mask_store, "segment", segment)


def score_of(run_id, epoch):
    return score_network(network_of(checkpoint_of(run_id, epoch)), run_id)


def checkpoint_of(run_id, epoch):
    return next(each for each in read_checkpoints(run_id) if each.epoch == epoch)


def put_champion(client, run_id, score, epoch=2):
    """Register an epoch as version 1 with a score, which makes it champion."""
    register(client, "Tiny", checkpoint_of(run_id, epoch).model_id, run_id, scored(score))


def champion(client):
    version = client.get_model_version_by_alias("Tiny", CHAMPION)
    return str(version.version), version.source


class TestOpening:
    def test_the_masks_are_shown_with_dice_and_threshold(self, run_id):
        words = read_words(open_checkpoint(run_id))
        assert "Epoch 1 on disc4: Dice" in words
        assert "Threshold 0.5, not tuned" in words
        assert f"tiledseg predict --model runs:/{run_id}@epoch=1" in words

    def test_without_an_epoch_in_the_address_the_best_is_open(self, run_id):
        page = settle(open_page("epochs", run=run_id, show="checkpoint"))
        assert "Epoch 2 on disc4" in read_words(page)

    def test_a_machine_without_the_images_says_so_and_goes_on_when_they_are_there(
        self, dataset, run_id
    ):
        dataset.rename(dataset.with_name("away"))
        page = open_checkpoint(run_id)
        assert "not at hand on this machine" in page.error[0].value
        dataset.with_name("away").rename(dataset)
        store.st.cache_data.clear()
        click(page, "Try again")
        assert not page.error
        assert "Epoch 1 on disc4" in read_words(page)

    def test_one_that_falls_out_while_it_is_open_stays_open(self, client, run_id):
        page = open_checkpoint(run_id)
        client.delete_logged_model(checkpoint_of(run_id, 1).model_id)
        store.checkpoints_of.clear()
        settle(page.run())
        assert "Epoch 1 on disc4" in read_words(page)
        assert "not among the best any more" in page.warning[0].value
        assert not any("Promote" in label for label in labels(page))

    def test_one_that_is_gone_is_not_open_checkpoint(self, client, run_id):
        client.delete_logged_model(checkpoint_of(run_id, 1).model_id)
        assert "Epoch 2 on disc4" in read_words(open_checkpoint(run_id, 1))

    def test_a_run_without_checkpoints_says_so(self, dataset, predictors):
        page = open_checkpoint(make_run(predictors[0].experiment, []))
        assert "keeps no checkpoints yet" in read_words(page)


class TestPromotion:
    def test_nothing_changes_until_it_is_confirmed(self, client, run_id):
        put_champion(client, run_id, 0.01)
        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        words = read_words(page)
        dice = score_of(run_id, 1).dice
        assert f"has a Dice of **{dice:.4f}** (tiled, mean over 2 images) on the" in words
        assert "with its threshold 0.5, not tuned" in words
        champions = "The champion, version 1, has **0.0100** (tiled, mean over 2 images)"
        assert f"{champions} on the same images" in words
        click(page, "Leave it")
        assert "Promote epoch 1 to champion" in labels(page)
        assert champion(client)[0] == "1"

    def test_it_becomes_champion(self, client, run_id):
        put_champion(client, run_id, 0.01)
        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        click(page, "Promote")
        assert champion(client) == ("2", f"models:/{checkpoint_of(run_id, 1).model_id}")
        told = page.success[0].value
        assert "Epoch 1 is version 2 of Tiny and champion now in place of version 1." in told
        assert "with its threshold 0.5, not tuned" in told
        registered = ValidationScore.from_tags(client.get_model_version("Tiny", "2").tags)
        assert registered.dice == pytest.approx(score_of(run_id, 1).dice, abs=1e-6)
        settle(page.run())
        assert "Epoch 1 is version 2 of Tiny, the champion" in read_words(page)

    def test_the_first_of_all_becomes_champion(self, client, run_id):
        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        assert "Tiny has no champion yet" in read_words(page)
        click(page, "Promote")
        assert champion(client)[0] == "1"
        assert "champion now." in page.success[0].value

    def test_what_the_registry_would_refuse_is_said_before_and_cannot_be_confirmed(
        self, client, run_id
    ):
        put_champion(client, run_id, 0.99)
        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        assert "version 1 has valid/tiled/dice 0.9900" in page.warning[0].value
        assert "Promote" not in labels(page)
        click(page, "Leave it")
        assert champion(client)[0] == "1"
        assert len(client.search_model_versions("name = 'Tiny'")) == 1

    def test_one_that_is_registered_and_worse_is_refused_too(self, client, run_id):
        put_champion(client, run_id, 0.2, epoch=1)
        put_champion(client, run_id, 0.9, epoch=2)
        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        assert "has a Dice of **0.2000**" in read_words(page)
        assert "version 2 has valid/tiled/dice 0.9000" in page.warning[0].value
        assert "Promote" not in labels(page)

    def test_a_champion_of_other_images_is_scored_on_these(
        self, client, run_id, tiny_dataset, tiny_experiment
    ):
        experiment = tiny_experiment(dataset={"name": "Others"})
        tiny_dataset(name="Others", size=80)
        (network,) = make_predictors(experiment, 1)
        other = make_run(experiment, [network])
        model_id = checkpoint_of(other, 1).model_id
        register(client, "Tiny", model_id, other, scored(0.01))
        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        assert (
            "The champion, version 1, has **1.0000** (tiled, mean over 2 images) on the same "
            "images; it was registered with **0.0100** (tiled, mean over 2 images), on others."
        ) in read_words(page)
        assert score_of(run_id, 1).dice < 0.95
        assert "the champion is better" in page.warning[0].value
        assert "Promote" in labels(page)

    def test_a_champion_that_cannot_be_scored_here_does_not_stand_in_the_way(
        self, client, run_id, monkeypatch
    ):
        put_champion(client, run_id, 0.01)
        other = client.create_run("1").info.run_id
        client.create_model_version("Tiny", f"runs:/{other}/model", other, tags=scored(0.02).tags())
        client.set_registered_model_alias("Tiny", CHAMPION, "2")
        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        assert "mean over 2 images) on other images, and cannot be scored on" in read_words(page)
        assert "Promote" in labels(page)

    def test_images_that_are_not_at_hand_are_told(self, dataset, run_id):
        page = open_checkpoint(run_id)
        shutil.rmtree(dataset)
        store.st.cache_data.clear()
        click(page, "Promote epoch 1 to champion")
        assert "not at hand on this machine" in page.error[0].value
        assert "Promote" not in labels(page)

    def test_another_that_is_better_by_now_is_told(self, client, run_id, monkeypatch):
        def overtaken(*_):
            raise RegistryError("version 9 has 0.9900; promote version 9")

        page = click(open_checkpoint(run_id), "Promote epoch 1 to champion")
        monkeypatch.setattr(confirmation, "promote_checkpoint", overtaken)
        click(page, "Promote")
        assert "promote version 9" in page.error[0].value


class TestRunning:
    @pytest.fixture
    def running(self, dataset, predictors):
        return make_run(predictors[0].experiment, predictors, status="RUNNING")

    @pytest.fixture
    def shown(self, monkeypatch):
        """The states that the page was drawn from, the last one at the end."""
        states = []
        monkeypatch.setattr(epochs, "_follow", lambda _, state: states.append(state))
        return states

    def state_now(self, run_id):
        store.st.cache_data.clear()
        return epochs._state_of(store.one_run(run_id), store.checkpoints_of(run_id))

    def test_what_changes_in_a_training_is_told_from_what_is_shown(
        self, client, running, predictors, shown
    ):
        open_checkpoint(running)
        assert self.state_now(running) == shown[-1]
        client.log_metric(running, "loss", 0.1, step=3)
        assert self.state_now(running) != (before := shown[-1])
        log_model(predictors[0], running, 3)
        assert self.state_now(running)[-1] != before[-1]

    def test_an_epoch_that_ends_while_the_page_is_drawn_is_not_missed(
        self, running, predictors, shown, monkeypatch
    ):
        draw = epochs._show_checkpoints

        def overtaken(*given):
            log_model(predictors[0], running, 3)
            store.st.cache_data.clear()
            draw(*given)

        open_checkpoint(running)
        monkeypatch.setattr(epochs, "_show_checkpoints", overtaken)
        open_checkpoint(running)
        assert self.state_now(running) != shown[-1]

    def test_the_page_shows_it_and_keeps_what_is_open(self, running, predictors):
        page = open_checkpoint(running)
        log_model(predictors[0], running, 3)
        store.st.cache_data.clear()
        settle(page.run())
        assert "Epoch 1 on disc4" in read_words(page)
        assert [each.epoch for each in store.checkpoints_of(running)] == [3, 2, 1]
