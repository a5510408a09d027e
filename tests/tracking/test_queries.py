import time

import mlflow
import pytest
from mlflow.entities import Metric, Param

from tiledseg.errors import RegistryError, TrackingError
from tiledseg.tracking import queries
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import CHAMPION, CHAMPION_METRIC
from tiledseg.tracking.registry import promote


@pytest.fixture
def client():
    return mlflow.MlflowClient()


def add_run(client, name="Tiny", start=0, status="FINISHED", tags=None, **params):
    found = client.get_experiment_by_name(name)
    experiment = found.experiment_id if found else client.create_experiment(name)
    run = client.create_run(experiment, start or int(time.time() * 1000), tags or {}).info.run_id
    client.log_batch(run, params=[Param(key, str(value)) for key, value in params.items()])
    if status != "RUNNING":
        client.set_terminated(run, status, (start or int(time.time() * 1000)) + 2000)
    return run


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


class TestFiles:
    def test_files_of_a_run(self, client):
        run = add_run(client)
        client.log_text(run, "1", "a/b.txt")
        files = RunFiles(run)
        assert files.names("a") == ["b.txt"]
        assert files.names("none") == []
        assert files.has("a/b.txt") and not files.has("a/c.txt")
        assert files.path("a/b.txt").read_text() == "1"
        with pytest.raises(TrackingError, match=r"no file 'a/c\.txt'"):
            files.path("a/c.txt")

    @pytest.mark.parametrize(
        "name", ["../../mlflow.db", "/etc/passwd", "a/../../../x", "..", "a/../.."]
    )
    def test_nothing_leads_out_of_a_run(self, client, name):
        files = RunFiles(add_run(client))
        with pytest.raises(TrackingError, match="leads out"):
            files.path(name)
        with pytest.raises(TrackingError, match="leads out"):
            files.names(name)

    def test_a_link_out_of_a_run_is_not_followed(self, client, tmp_path):
        (tmp_path / "secret").write_text("x")
        run = add_run(client)
        client.log_text(run, "1", "a.txt")
        place = RunFiles(run).path("a.txt")
        (place.parent / "b.txt").symlink_to(tmp_path / "secret")
        with pytest.raises(TrackingError, match="leads out"):
            RunFiles(run).path("b.txt")

    def test_epoch_pictures_are_found_by_image_mode_and_epoch(self, client):
        import numpy as np

        run = add_run(client, status="RUNNING")
        for epoch in (2, 10, 1):
            client.log_image(
                run,
                np.zeros((4, 4), np.uint8),
                key="epochs/cell 3/tiled",
                step=epoch,
                synchronous=True,
            )
        found = RunFiles(run).epoch_pictures()
        assert list(found) == [("cell 3", "tiled")]
        assert list(found["cell 3", "tiled"]) == [1, 2, 10]
        assert RunFiles(run).path(found["cell 3", "tiled"][10]).is_file()


class TestPromotion:
    @pytest.fixture
    def versions(self, client):
        """Three versions, the second the best, the last without a score."""
        client.create_registered_model("Tiny")
        run = add_run(client)
        for tags in ({CHAMPION_METRIC: "0.5"}, {CHAMPION_METRIC: "0.9"}, {}):
            client.create_model_version("Tiny", f"runs:/{run}/model", run, tags=tags)
        client.set_registered_model_alias("Tiny", CHAMPION, "1")

    def champion(self, client):
        return str(client.get_model_version_by_alias("Tiny", CHAMPION).version)

    def test_the_best_takes_the_place_of_the_champion(self, client, versions):
        assert promote("Tiny", "2") == "1"
        assert self.champion(client) == "2"

    @pytest.mark.parametrize("version", ["1", "3"])
    def test_others_are_refused_and_nothing_changes(self, client, versions, version):
        with pytest.raises(RegistryError, match=r"cannot be champion|promote version 2") as told:
            promote("Tiny", version)
        assert version in str(told.value)
        assert self.champion(client) == "1"

    @pytest.mark.parametrize(("name", "version"), [("Tiny", "9"), ("Other", "1"), ("O'Hara", "1")])
    def test_what_does_not_exist_is_refused(self, versions, name, version):
        with pytest.raises(RegistryError, match="cannot be champion"):
            promote(name, version)

    def test_without_a_champion_before(self, client, versions):
        client.delete_registered_model_alias("Tiny", CHAMPION)
        assert promote("Tiny", "2") is None

    def test_versions_come_with_their_aliases(self, versions):
        found = {item.version: item for item in queries.read_versions()}
        assert found["1"].aliases == (CHAMPION,)
        assert found["2"].aliases == ()
        assert found["2"].tags[CHAMPION_METRIC] == "0.9"

    def test_versions_of_all_models_or_of_one(self, client, versions):
        client.create_registered_model("Other")
        client.create_model_version("Other", "somewhere")
        client.set_registered_model_alias("Other", "latest-trained", "1")
        every = queries.read_versions()
        assert sorted(item.model for item in every) == ["Other", "Tiny", "Tiny", "Tiny"]
        (other,) = queries.read_versions("Other")
        assert other.aliases == ("latest-trained",)
        assert other in every

    def test_however_many_pages_it_takes(self, client, versions, monkeypatch):
        monkeypatch.setattr(queries, "_PAGE", 1)
        assert {item.version for item in queries.read_versions()} == {"1", "2", "3"}
