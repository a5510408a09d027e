"""Whatever users call their things, every page opens, shows it, and asks no other host."""

import http.server
import threading
from urllib.parse import urlencode

import mlflow
import pytest
from dashboard_server import start_server, stop_server
from odd_names import NAMES, add_everything
from store_folder import copy_store, environment_of
from visitor import PAGES, Visitor

FEW = NAMES[::7]


@pytest.fixture
def other_host():
    """A server that pictures in names lie on; gives its address and what it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


@pytest.fixture
def odd_server(made_store, store, tmp_path, other_host, monkeypatch, request):
    """A dashboard of a store where all is called by odd names."""
    folder = tmp_path / "store"
    copy_store(made_store, folder)
    environment = environment_of(folder)
    mlflow.set_tracking_uri(environment["MLFLOW_TRACKING_URI"])
    good = mlflow.MlflowClient().get_run(store.good)
    for name in request.param:
        add_everything(good, name, f"![picture]({other_host[0]}/picture.png)")
    server = start_server(environment, folder)
    yield server
    stop_server(server)


@pytest.mark.parametrize(
    ("odd_server", "names"),
    [
        pytest.param(FEW, FEW, marks=pytest.mark.soak),
        pytest.param(NAMES, NAMES, marks=[pytest.mark.soak_long, pytest.mark.timeout(3600)]),
    ],
    indirect=["odd_server"],
)
def test_every_page_opens(odd_server, other_host, chromium, names):
    visitor = Visitor(chromium, odd_server.address)
    client = mlflow.MlflowClient()
    for path in PAGES:
        visitor.open(path)
        assert_sound(visitor, path)
    for name in names:
        experiment = client.get_experiment_by_name(name)
        runs = client.search_runs([experiment.experiment_id])
        by_kind = {run.data.tags["tiledseg.kind"]: run.info.run_id for run in runs}
        states = {
            "compare": {"dataset": name},
            "epochs": {"run": by_kind["train"]},
            "sweeps": {"study": by_kind["sweep"]},
            "runs": {"dataset": name},
        }
        if ":" not in name:
            states["models"] = states["try"] = {"model": name}
        for path, state in states.items():
            visitor.open(f"{path}?{urlencode(state)}")
            assert_sound(visitor, (path, name))
            if path == "models":
                heading = visitor.page.get_by_role("heading", level=3).first.inner_text()
                assert heading.split() == f"{name}, version 1".split()
    assert visitor.faults == []
    assert other_host[1] == []
    visitor.close()


def assert_sound(visitor, where):
    """Nothing failed, and no text of a user became a picture."""
    page = visitor.page
    said = page.locator("[data-testid=stAlertContentError], [data-testid=stException]")
    assert [each.inner_text() for each in said.all()] == [], where
    pictures = page.locator("[data-testid=stMarkdownContainer] img")
    assert [each.get_attribute("src") for each in pictures.all()] == [], where
