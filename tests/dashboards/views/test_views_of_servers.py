"""Every page on a tracking server, whose files come through it, and the promotion of a version."""

import mlflow
import pytest
from browser_checks import assert_same
from dashboard_server import start_server, stop_server
from page_script import PAGES, open_page, read_words
from stores import DOCUMENTED, SERVER
from visitor import Visitor

from tiledseg import train
from tiledseg.images.reading import read_image
from tiledseg.tracking.files import RunFiles
from tiledseg.tracking.names import CHAMPION, CHAMPION_METRIC, EPOCH_TAG

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module", params=[SERVER, DOCUMENTED])
def served(request, start_store):
    return start_store(request.param)


@pytest.fixture(scope="module")
def run_id(served, tmp_path_factory, tiny_dataset, tiny_experiment):
    """A training with two versions: its best epoch, and the other one, which is champion."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("data"), size=400)
    with pytest.MonkeyPatch.context() as patch:
        served.visit(patch)
        result = train(tiny_experiment(image={"size": 64}), root=dataset.parent)
        client = mlflow.MlflowClient()
        (version,) = client.search_model_versions("name = 'Tiny'")
        kept = client.search_logged_models(
            experiment_ids=[client.get_run(result.run_id).info.experiment_id],
            filter_string=f"name != 'state' and model_id != '{version.source.rpartition('/')[2]}'",
        )
        other = next(model for model in kept if EPOCH_TAG in model.tags)
        client.create_model_version(
            "Tiny",
            f"models:/{other.model_id}",
            result.run_id,
            tags={**version.tags, CHAMPION_METRIC: "0.001"},
            model_id=other.model_id,
        )
        client.set_registered_model_alias("Tiny", CHAMPION, "2")
    return result.run_id


@pytest.fixture
def there(served, run_id, monkeypatch, empty_caches):
    served.visit(monkeypatch)


@pytest.mark.parametrize("name", PAGES)
def test_every_page(there, run_id, name):
    page = open_page(name, **({"run": run_id} if name in {"runs", "epochs"} else {}))
    assert not page.exception
    assert not page.error
    words = read_words(page)
    assert "No sweep" in words if name == "sweeps" else page.title[0].value


def test_masks_are_shown_and_the_best_version_is_promoted(
    there, served, run_id, chromium, tmp_path
):
    places = {"TILEDSEG_CACHE": str(tmp_path / "cache"), "TILEDSEG_STATE": str(tmp_path / "state")}
    running = start_server({**served.environment, **places}, tmp_path)
    visitor = Visitor(chromium, running.address)
    try:
        visitor.open(f"epochs?run={run_id}")
        visitor.viewer()
        visitor.press("m", "e", "1")
        files = RunFiles(run_id)
        names = next(
            found for (_, mode), found in files.epoch_pictures().items() if mode == "tiled"
        )
        assert_same(visitor.canvases()["tiled"], read_image(files.path(names[2]))[..., 0])
        page = visitor.open("models?version=1")
        page.get_by_role("button", name="Promote version 1 to champion").click()
        page.get_by_role("button", name="Promote", exact=True).click()
        page.get_by_text("Version 1 of Tiny is champion now in place of version 2.").wait_for()
        champion = mlflow.MlflowClient().get_model_version_by_alias("Tiny", CHAMPION)
        assert str(champion.version) == "1"
    finally:
        visitor.close()
        stop_server(running)
    assert visitor.faults == []
    said = running.log.read_text()
    assert not [secret for secret in served.secrets if secret in said]
