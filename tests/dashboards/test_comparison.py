"""Sides of a comparison, and their scores."""

import mlflow
import pytest

from dashboards import comparison, store
from dashboards.comparison import join_scores, list_sources, list_unscored
from dashboards.run_table import run_table


def test_the_champion_comes_first_then_the_other_versions(store_sides):
    assert list(store_sides)[:6] == [
        f"v{version}.{mode}" for version in (2, 1) for mode in ("tiled", "resized", "target")
    ]
    assert "champion" in store_sides["v2.tiled"].title


def test_a_trial_without_pictures_shares_no_image(store_sides):
    trial = next(side for side in store_sides.values() if side.source.run.kind == "trial")
    assert join_scores("test", trial, store_sides["v1.tiled"]).empty


def test_the_worst_image_comes_first(store_sides):
    table = join_scores("test", store_sides["v1.tiled"], store_sides["v1.resized"])
    assert table["left"].is_monotonic_increasing
    assert table["gain"].tolist() == pytest.approx((table["left"] - table["right"]).tolist())
    assert len(table) == 2


def test_a_target_has_no_score(store_sides):
    table = join_scores("test", store_sides["v1.tiled"], store_sides["v1.target"])
    assert list(table) == ["image", "left"]


def test_a_run_of_a_link_is_offered_however_old_it_is(at_store, monkeypatch):
    monkeypatch.setattr(comparison, "MOST_RUNS", 0)
    runs, versions = run_table().runs(), store.versions()
    oldest = min((run for run in runs if run.kind == "trial"), key=lambda run: run.started)
    keys = [source.key for source in list_sources("Discs", runs, versions, {oldest.short_id})]
    assert keys == ["v2", "v1", oldest.short_id]
    assert len(list_sources("Discs", runs, versions)) == 2


def test_a_dataset_without_predictions(at_store):
    assert comparison.list_sources("Other", run_table().runs(), store.versions()) == []


def test_a_checkpoint_that_was_promoted_has_no_masks_to_compare(broken):
    mlflow.MlflowClient().set_model_version_tag("Discs", "1", "tiledseg.epoch", "2")
    runs, versions = run_table().runs(), store.versions()
    keys = [source.key for source in list_sources("Discs", runs, versions)]
    assert keys[0] == "v2"
    assert "v1" not in keys
    (left_out,) = list_unscored("Discs", runs, versions)
    assert left_out.version == "1"
    assert list_unscored("Other", runs, versions) == []
