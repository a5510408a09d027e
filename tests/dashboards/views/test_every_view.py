"""Every page, without a browser: on a full store, on an empty one, and on none."""

import hashlib
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from page_script import PAGES, open_page, read_words


@pytest.mark.parametrize("name", PAGES)
class TestEveryPage:
    def test_on_a_full_store(self, at_store, name):
        page = open_page(name)
        assert not page.exception
        assert not page.error
        assert page.title[0].value

    def test_on_an_empty_store_it_says_what_to_type(self, name, fresh):
        page = open_page(name)
        assert not page.exception
        assert "tiledseg " in page.code[0].value
        assert fresh in read_words(page)

    def test_without_a_server_it_says_so(self, name, fresh, monkeypatch):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        mlflow.set_tracking_uri(address)
        page = open_page(name)
        assert not page.exception
        assert "does not answer" in page.error[0].value
        assert address in page.error[0].value
        assert "tiledseg dashboard" in page.code[0].value


@pytest.mark.parametrize("value", ["../../etc/passwd", "<script>"])
@pytest.mark.parametrize("name", PAGES)
def test_nonsense_is_left_out(at_store, name, value):
    keys = ("dataset", "a", "b", "split", "image", "order", "view", "run", "stem", "epoch")
    keys += (
        "show",
        "checkpoint",
        "study",
        "objective",
        "model",
        "version",
        "kind",
        "chosen",
        "metric",
        "mode",
    )
    page = open_page(name, **dict.fromkeys(keys, value))
    assert not page.exception
    assert not page.error


def test_the_champions_run_is_gone(broken, store):
    with sqlite3.connect(broken / "mlflow.db") as database:
        database.execute("UPDATE model_versions SET run_id = 'gone'")
    for name in ("overview", "models", "try", "compare"):
        page = open_page(name)
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
        open_page(name)
    assert content() == before


def test_tensorflow_is_not_imported_until_something_is_predicted(at_store):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "import page_script\n"
        "for name in page_script.PAGES: assert not page_script.open_page(name).exception\n"
        "print(sorted(n for n in ('tensorflow', 'keras', 'jax', 'torch') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr[-2000:]
