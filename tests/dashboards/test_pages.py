"""Every page, without a browser: on a full store, on an empty one, and on none."""

import hashlib
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from store_folder import copy_store
from streamlit.testing.v1 import AppTest
from test_uploads import BAD

from dashboards.segmentation import Segmentation
from dashboards.views import LISTED, epochs, try_out
from dashboards.views.runs import differing_settings, matches, table_of

PAGES = tuple(LISTED)
SECONDS = 120


def script(name):
    """A page with the navigation that its links need."""
    import streamlit as st

    from dashboards.empty_states import guard_page
    from dashboards.views import LISTED, page

    st.navigation([page(item) for item in LISTED])
    guard_page(LISTED[name][0])()


def opened(name, **state):
    test = AppTest.from_function(script, default_timeout=SECONDS, kwargs={"name": name})
    for key, value in state.items():
        test.query_params[key] = value
    return test.run()


def words(test):
    """Everything that is written on a page."""
    kinds = ("title", "subheader", "markdown", "caption", "code", "info", "error", "warning")
    shown = [item.value for kind in kinds for item in getattr(test, kind)]
    shown += [item.body for item in test.get("alert") if hasattr(item, "body")]
    shown += [item.proto.text for item in test.get("progress")]
    return "\n".join(map(str, shown))


@pytest.mark.parametrize("name", PAGES)
class TestEveryPage:
    def test_on_a_full_store(self, at_store, name):
        page = opened(name)
        assert not page.exception
        assert not page.error
        assert page.title[0].value

    def test_on_an_empty_store_it_says_what_to_type(self, name, fresh):
        page = opened(name)
        assert not page.exception
        assert "tiledseg " in page.code[0].value
        assert fresh in words(page)

    def test_without_a_server_it_says_so(self, name, fresh, monkeypatch):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        mlflow.set_tracking_uri(address)
        page = opened(name)
        assert not page.exception
        assert "does not answer" in page.error[0].value
        assert address in page.error[0].value
        assert "tiledseg dashboard" in page.code[0].value


@pytest.fixture
def fresh(empty_store, empty_caches):
    """An empty store; gives its address."""
    mlflow.set_tracking_uri(empty_store)
    return empty_store


@pytest.fixture(scope="session")
def empty_store(mlflow_tables):
    """Nothing is ever written into this one."""
    return f"sqlite:///{mlflow_tables.as_posix()}"


@pytest.fixture
def broken(store, tmp_path, monkeypatch, empty_caches):
    """A copy of the store that may be spoilt."""
    copy = tmp_path / "copy"
    copy_store(store.folder, copy)
    monkeypatch.setenv("TILEDSEG_CACHE", str(tmp_path / "cache"))
    mlflow.set_tracking_uri(f"sqlite:///{copy}/mlflow.db")
    return copy


class TestLinks:
    """The address holds the state, and what it should not hold is left out."""

    def test_compare_opens_the_image_and_sides_of_the_link(self, at_store):
        page = opened("compare", a="v1.tiled", b="v2.tiled", split="valid", image="disc 3")
        assert page.selectbox(key="a").value == "v1.tiled"
        assert page.selectbox(key="b").value == "v2.tiled"
        assert "valid" in words(page)

    @pytest.mark.parametrize("value", ["../../etc/passwd", "<script>"])
    @pytest.mark.parametrize("name", PAGES)
    def test_nonsense_is_left_out(self, at_store, name, value):
        keys = ("dataset", "a", "b", "split", "image", "order", "view", "run", "stem", "epoch")
        keys += ("study", "objective", "model", "version", "kind", "chosen", "metric", "mode")
        page = opened(name, **dict.fromkeys(keys, value))
        assert not page.exception
        assert not page.error

    def test_runs_are_compared_by_link(self, at_store):
        page = opened("runs", chosen=f"{at_store.good[:8]}.{at_store.poor[:8]}")
        assert "Settings" in words(page)


class TestWhatIsSaid:
    def test_overview_shows_progress_of_the_open_run(self, at_store):
        assert "epoch 3 of at most 10" in words(opened("overview"))

    def test_overview_shows_progress_of_an_open_study(self, broken, store):
        with sqlite3.connect(broken / "mlflow.db") as database:
            (study,) = database.execute("SELECT run_uuid FROM runs WHERE name = 'filters'")
            database.execute("UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?", study)
            tag = {"key": "tiledseg.trials", "value": "24", "run": study[0]}
            database.execute(
                "INSERT INTO tags (key, value, run_uuid) VALUES (:key, :value, :run)", tag
            )
            died = {"tag": "tiledseg.outcome", "value": "died", "trial": "filters 003"}
            database.execute(
                "UPDATE tags SET value = :value WHERE key = :tag AND run_uuid IN "
                "(SELECT run_uuid FROM runs WHERE name = :trial)",
                died,
            )
        assert "11 of 24 trials" in words(opened("overview"))  # one is run again

    def test_compare_says_which_side_wins(self, at_store):
        assert "better on 2, worse on 0" in words(opened("compare", a="v1.tiled", b="v1.resized"))

    def test_sweeps_gives_the_command_of_the_best_trial(self, at_store):
        assert "tiledseg train --dataset Discs --set" in opened("sweeps").code[0].value

    def test_models_has_both_modes_and_the_champion(self, at_store):
        page = opened("models")
        assert "champion" in words(page)
        assert "Promote" not in " ".join(button.label for button in page.button)

    def test_a_version_that_may_be_promoted_has_the_button(self, at_store):
        page = opened("models", version="1")
        assert any("Promote version 1" in button.label for button in page.button)


def test_overview_leaves_launchers_out(own_tables, empty_caches):
    client = mlflow.MlflowClient()
    launcher = {
        "tiledseg.format": "1",
        "tiledseg.kind": "launcher",
        "mlflow.runName": "handsome-eel",
    }
    client.create_run("0", tags=launcher)
    training = {"tiledseg.format": "1", "tiledseg.kind": "train", "mlflow.runName": "first"}
    client.create_run(client.create_experiment("Discs"), tags=training)
    page = opened("overview")
    assert page.dataframe[0].value["run"].tolist() == ["first"]
    assert "handsome-eel" not in words(page)
    assert "first" in words(page)


class TestFaults:
    """What is missing or broken in the store is said on the page, and the rest is shown."""

    def artifacts(self, copy, store):
        return next(copy.glob(f"mlruns/*/{store.good}/artifacts"))

    def test_predictions_are_gone(self, broken, store):
        shutil.rmtree(self.artifacts(broken, store) / "predictions")
        page = opened("compare", a="v1.tiled", b="v1.resized")
        assert not page.exception
        assert "log_images" in words(page)

    def test_one_mask_is_gone(self, broken, store):
        (self.artifacts(broken, store) / "predictions/test/resized/disc 4.png").unlink()
        page = opened("compare", a="v1.tiled", b="v1.resized", image="disc 4")
        assert not page.exception
        assert not page.error

    def test_scores_are_gone(self, broken, store):
        (self.artifacts(broken, store) / "scores.csv").unlink()
        page = opened("compare", a="v1.tiled", b="v1.resized")
        assert not page.exception

    def test_an_image_is_broken(self, broken, store):
        (self.artifacts(broken, store) / "predictions/test/image/disc 4.png").write_bytes(b"words")
        page = opened("compare", a="v1.tiled", b="v1.resized", image="disc 4")
        assert not page.exception
        assert "disc 4.png" in page.error[0].value

    def test_epoch_pictures_are_gone(self, broken, store):
        shutil.rmtree(self.artifacts(broken, store) / "images")
        page = opened("epochs", run=store.good)
        assert not page.exception
        assert "keeps no pictures" in words(page)

    def test_the_champions_run_is_gone(self, broken, store):
        with sqlite3.connect(broken / "mlflow.db") as database:
            database.execute("UPDATE model_versions SET run_id = 'gone'")
        for name in ("overview", "models", "try", "compare"):
            page = opened(name)
            assert not page.exception, name
            for error in page.error:
                assert "choose another" in error.value
                assert "MLFLOW_TRACKING_URI" not in error.value


def test_looking_changes_nothing(at_store):
    def content():
        with sqlite3.connect(at_store.folder / "mlflow.db") as database:
            rows = hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()
        files = {
            path: path.stat().st_mtime_ns
            for path in at_store.folder.glob("mlruns/**/*")
            if path.is_file()
        }
        return rows, files

    before = content()
    for name in PAGES:
        opened(name)
    assert content() == before


def test_tensorflow_is_not_imported_until_something_is_predicted(at_store):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_pages\n"
        "for name in test_pages.PAGES: assert not test_pages.opened(name).exception\n"
        "print(sorted(n for n in ('tensorflow', 'keras', 'jax', 'torch') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr[-2000:]


class TestUploads:
    def test_a_hundred_bad_files_are_told_one_after_another(self, at_store):
        """Through the page itself; it lives on, and nothing is left in the visitor's folder."""
        page = opened("try")
        for name, data, words_ in BAD:
            shown = f"{name.rpartition('.')[0]}.png"  # other endings do not pass the browser
            page.file_uploader(key="upload").set_value((shown, data, "image/png"))
            page.run()
            assert not page.exception
            (told,) = page.error
            assert told.value.startswith(f"{shown}: ")
            assert words_ in told.value
        page.file_uploader(key="upload").set_value(None)
        page.run()
        assert not page.error

    def test_every_visitor_has_a_folder_of_their_own(self, at_store, monkeypatch):
        monkeypatch.setattr(try_out, "segment", lambda *_: Segmentation(Path(), {}, {}, {}))
        monkeypatch.setattr(try_out, "_viewer", lambda *_: None)
        image = at_store.folder / "data/Discs/test/images/disc 4.png"
        folders = []
        pages = [opened("try") for _ in range(2)]  # a visitor who leaves takes the folder along
        for page in pages:
            page.file_uploader(key="upload").set_value(("a.png", image.read_bytes(), "image/png"))
            page.run()
            assert not page.error
            folders.append(page.session_state[try_out.ACCEPTED_IMAGE].path.parent)
        assert folders[0] != folders[1]
        assert all(folder.stat().st_mode & 0o077 == 0 for folder in folders)


class TestOpening:
    """What is not seen is not looked up."""

    def test_no_run_is_asked_for_pictures_when_the_link_names_one(self, at_store, monkeypatch):
        def ask(_):
            raise AssertionError("runs were asked")

        monkeypatch.setattr(epochs, "_first_with_pictures", ask)
        page = opened("epochs", run=at_store.good)
        assert not page.exception
        assert not page.run().exception  # the session names it

    def test_at_first_the_newest_run_with_pictures_is_open(self, at_store):
        assert opened("epochs").selectbox(key="run").value == at_store.poor

    def test_settings_that_are_the_same_are_shown_when_asked_for(self, at_store):
        page = opened("runs")
        before = len(page.dataframe)
        page.session_state["same-settings"] = True
        page.run()
        assert not page.exception
        assert len(page.dataframe) == before + 1

    def test_target_against_target(self, at_store):
        page = opened("compare", a="v1.target", b="v2.target")
        assert not page.exception
        assert not page.error


class TestRunsTable:
    def runs(self, at_store):
        from dashboards.store import run_table

        return run_table().runs()

    def test_words_find_runs_by_name_id_and_setting(self, at_store):
        runs = {run.run_id: run for run in self.runs(at_store)}
        good = runs[at_store.good]
        assert matches(good, "")
        assert matches(good, good.name.upper())
        assert matches(good, at_store.good[:8])
        assert matches(good, "base_filters=4 steps_per_epoch=40")
        assert not matches(good, "base_filters=5")
        assert not matches(good, "nosuchname")

    def test_differences_come_first_and_nothing_is_lost(self, at_store):
        runs = {run.run_id: run for run in self.runs(at_store)}
        differs, same = differing_settings([runs[at_store.good], runs[at_store.poor]])
        assert set(differs.index) == {
            "training.epochs",
            "training.learning_rate",
            "training.steps_per_epoch",
        }
        assert len(differs) + len(same) == len(runs[at_store.good].params)

    def test_numbers_sort_as_numbers(self, at_store):
        runs = self.runs(at_store)
        table = table_of(runs, ["model.base_filters", "valid/tiled/dice", "training.loss"])
        assert table["model.base_filters"].dtype.kind == "f"
        assert table["valid/tiled/dice"].dtype.kind == "f"
        assert len(table) == len(runs)
