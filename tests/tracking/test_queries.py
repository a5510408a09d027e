import json
import time
from dataclasses import asdict, replace

import mlflow
import pytest
from mlflow.entities import Metric
from store_filling import add_run
from stores import on_every_store

from tiledseg.errors import TrackingError
from tiledseg.tracking import queries
from tiledseg.tracking.names import CHAMPION, CHAMPION_METRIC, EPOCH_TAG, OWNER_TAG
from tiledseg.tracking.ownership import Owner, Ownership

pytestmark = on_every_store


class TestRuns:
    def test_a_summary_has_what_the_run_has(self, client):
        tags = {"tiledseg.kind": "trial", "mlflow.parentRunId": "p", "tiledseg.error": "no masks"}
        run = add_run(client, start=1_700_000_000_000, tags=tags, depth=3)
        (found,) = queries.read_runs()
        assert found == queries.read_run(run)
        assert (found.run_id, found.dataset, found.kind) == (run, "Tiny", "trial")
        assert (found.parent, found.error, found.seconds) == ("p", "no masks", 2.0)
        assert found.params == {"depth": "3"}
        assert found.started.isoformat() == "2023-11-14T22:13:20+00:00"

    def test_the_newest_come_first_and_pages_are_joined(self, client, monkeypatch):
        monkeypatch.setattr(queries, "PAGE", 2)
        runs = [add_run(client, start=1000 * (number + 1)) for number in range(5)]
        assert [row.run_id for row in queries.read_runs()] == runs[::-1]
        assert [row.run_id for row in queries.read_runs(limit=3)] == runs[:1:-1]

    def test_datasets_and_conditions_choose(self, client):
        add_run(client, "One")
        two = add_run(client, "Two", tags={"tiledseg.kind": "sweep"})
        assert [row.run_id for row in queries.read_runs(["Two"])] == [two]
        condition = "tags.`tiledseg.kind` = 'sweep'"
        assert [row.run_id for row in queries.read_runs(condition=condition)] == [two]
        assert queries.read_runs(["Three"]) == []

    def test_what_is_known_is_not_read_again(self, client, monkeypatch):
        monkeypatch.setattr(queries, "PAGE", 2)
        monkeypatch.setattr(queries, "LOOK", 2)
        for number in range(6):
            add_run(client, start=1000 * (number + 1))
        known = {row.run_id: row for row in queries.read_runs()}
        asked = []
        original = mlflow.MlflowClient.search_runs
        monkeypatch.setattr(
            mlflow.MlflowClient, "search_runs", lambda *args: asked.append(1) or original(*args)
        )
        assert len(queries.read_runs(known=known)) == 6
        assert len(asked) == 1
        new = add_run(client, start=10_000)
        assert {row.run_id for row in queries.read_runs(known=known)} == {new, *known}

    def test_open_runs_are_read_again(self, client):
        run = add_run(client, status="RUNNING")
        known = {row.run_id: row for row in queries.read_runs()}
        client.set_terminated(run)
        assert queries.read_runs(known=known)[0].status == "FINISHED"

    def test_a_run_whose_process_is_dead_is_not_running(self, client):
        living, dead, unknown = (add_run(client, status="RUNNING") for _ in range(3))
        Ownership(client, living)
        owner = replace(Owner.this_process(), host="elsewhere", heartbeat=time.time() - 3600)
        client.set_tag(dead, OWNER_TAG, json.dumps(asdict(owner)))
        found = {row.run_id: row.status for row in queries.read_runs()}
        assert found == {living: "RUNNING", dead: "DIED", unknown: "RUNNING"}

    def test_a_run_that_does_not_exist(self):
        with pytest.raises(TrackingError, match="0123"):
            queries.read_run("0123")

    def test_curves_come_by_epoch_and_the_last_word_counts(self, client):
        run = add_run(client, status="RUNNING")
        points = [(2, 0.2), (1, 0.1), (2, 0.3)]
        for at, (epoch, value) in enumerate(points):
            client.log_batch(run, metrics=[Metric("val_dice", value, 1000 + at, epoch)])
        table = queries.read_curves(run, ["val_dice", "absent"])
        assert table[["epoch", "value"]].to_numpy().tolist() == [[1, 0.1], [2, 0.3]]


class TestVersions:
    def test_versions_come_with_their_aliases(self, versions):
        found = {item.version: item for item in queries.read_versions()}
        assert found["1"].aliases == (CHAMPION,)
        assert found["2"].aliases == ()
        assert found["2"].tags[CHAMPION_METRIC] == "0.900000"

    def test_a_version_names_its_logged_model_and_its_epoch(self, client, versions):
        model = client.create_logged_model("0")
        tags = {EPOCH_TAG: "3"}
        source = f"models:/{model.model_id}"
        client.create_model_version("Tiny", source, tags=tags, model_id=model.model_id)
        found = {item.version: item for item in queries.read_versions()}
        assert (found["4"].model_id, found["4"].epoch) == (model.model_id, 3)
        assert (found["1"].model_id, found["1"].epoch) == ("", None)

    def test_the_scores_of_a_run_are_those_of_its_best_epoch(self, client, versions):
        best, unfinished = add_run(client), add_run(client)
        client.log_metric(best, "best_epoch", 3)
        for epoch in (3, 2):
            tags = {EPOCH_TAG: str(epoch)}
            client.create_model_version("Tiny", f"runs:/{best}/model", best, tags=tags)
        found = {item.version: item for item in queries.read_versions()}
        run, other = queries.read_run(best), queries.read_run(unfinished)
        assert [found[version].is_scored_by(run) for version in ("4", "5", "1")] == [
            True, False, True,
        ]  # fmt: skip
        assert not found["4"].is_scored_by(other), "it has none yet"

    def test_versions_of_all_models_or_of_one(self, client, versions):
        run = add_run(client)
        client.create_registered_model("Other")
        client.create_model_version("Other", f"runs:/{run}/model", run)
        client.set_registered_model_alias("Other", "latest-trained", "1")
        every = queries.read_versions()
        assert sorted(item.model for item in every) == ["Other", "Tiny", "Tiny", "Tiny"]
        (other,) = queries.read_versions("Other")
        assert other.aliases == ("latest-trained",)
        assert other in every

    def test_however_many_pages_it_takes(self, client, versions, monkeypatch):
        monkeypatch.setattr(queries, "_PAGE", 1)
        assert {item.version for item in queries.read_versions()} == {"1", "2", "3"}
