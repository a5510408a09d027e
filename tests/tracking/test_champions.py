"""Which version is the champion where several classes were scored, and on what."""

import pytest
from store_filling import add_run

from tiledseg.config.format_version import FORMAT_VERSION
from tiledseg.errors import RegistryError
from tiledseg.tracking.champions import ValidationScore, champion_score, promote, promote_if_best
from tiledseg.tracking.names import CHAMPION, FORMAT_TAG

BOTH, ONE = ("common", "rare"), ("common",)


@pytest.fixture
def add(client):
    """Adds a version with a score; returns whether it became champion."""
    client.create_registered_model("Cells")
    run = add_run(client, "Cells")

    def add_version(dice, classes=BOTH, **tags):
        score = ValidationScore(dice, 8, classes)
        made = client.create_model_version(
            "Cells", f"runs:/{run}/model", run, tags={**score.tags(), **tags}
        )
        return promote_if_best(client, "Cells", str(made.version))

    return add_version


def champion(client):
    return str(client.get_model_version_by_alias("Cells", CHAMPION).version)


def test_the_better_mean_decides_where_the_same_classes_were_scored(client, add):
    assert [add(dice) for dice in (0.5, 0.4, 0.5, 0.6)] == [True, False, False, True]
    assert champion(client) == "4"


def test_a_mean_over_fewer_classes_takes_no_place(client, add, caplog):
    """A new split without the rare one would make any network look better."""
    assert add(0.5, BOTH)
    assert not add(0.95, ONE)
    assert champion(client) == "1"
    assert (
        "version 2 of Cells does not become champion: its validation images have 1 class (common), "
        "those of version 1, the champion, 2 classes (common, rare)" in caplog.text
    )
    with pytest.raises(RegistryError, match=r"0\.9500 \(1 class, 8 images\).* promote version 1"):
        promote("Cells", "2")


def test_a_mean_over_more_classes_goes_before_one_over_fewer(client, add):
    assert add(0.95, ONE)
    assert add(0.5, BOTH)
    assert promote("Cells", "2") == "2"


def test_as_many_other_classes_are_compared_by_their_means(client, add):
    assert add(0.5, ("common", "rare"))
    assert add(0.6, ("common", "other"))


def test_a_class_that_is_only_predicted_is_none_that_was_scored():
    metrics = {
        "valid/tiled/dice": 0.25,
        "valid/tiled/images/dice": 8.0,
        "valid/tiled/dice/rare": 0.0,
        "valid/tiled/recall/common": 0.5,
    }
    classes = ("background", "common", "rare")
    assert ValidationScore.from_metrics(metrics, classes) == ValidationScore(0.25, 8, ONE)
    metrics["valid/tiled/recall/rare"] = 0.0
    assert ValidationScore.from_metrics(metrics, classes) == ValidationScore(0.25, 8, BOTH)


def test_one_class_is_scored_whatever_the_images_show():
    metrics = {"valid/tiled/dice": 1.0, "valid/tiled/images/dice": 3.0}
    score = ValidationScore.from_metrics(metrics, ("background", "cell"))
    assert score == ValidationScore(1.0, 3, ("cell",))


def test_a_version_without_a_score_is_no_champion(client, add, caplog):
    assert not add(None)
    assert champion_score(client, "Cells") is None
    assert "version 1 of Cells has no valid/tiled/dice" in caplog.text
    assert add(0.1)
    assert not add(None)
    assert champion(client) == "2"


def test_a_score_of_another_format_is_not_compared(client, add):
    old = {FORMAT_TAG: str(FORMAT_VERSION - 1)}
    add(0.9, **old)
    client.set_registered_model_alias("Cells", CHAMPION, "1")
    assert champion_score(client, "Cells") is None
    assert add(0.2)
    assert champion(client) == "2"
    with pytest.raises(RegistryError, match=f"no valid/tiled/dice of format {FORMAT_VERSION}"):
        promote("Cells", "1")


def test_a_registration_that_is_sent_again_changes_nothing(client, add):
    assert add(0.5)
    assert promote_if_best(client, "Cells", "1")
    assert champion_score(client, "Cells").dice == 0.5
