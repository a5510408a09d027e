import pytest
from store_filling import add_run

from tiledseg.errors import TrackingError
from tiledseg.tracking.files import RunFiles


def test_files_of_a_run(client):
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
def test_nothing_leads_out_of_a_run(client, name):
    files = RunFiles(add_run(client))
    with pytest.raises(TrackingError, match="leads out"):
        files.path(name)
    with pytest.raises(TrackingError, match="leads out"):
        files.names(name)


def test_a_link_out_of_a_run_is_not_followed(client, tmp_path):
    (tmp_path / "secret").write_text("x")
    run = add_run(client)
    client.log_text(run, "1", "a.txt")
    place = RunFiles(run).path("a.txt")
    (place.parent / "b.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(TrackingError, match="leads out"):
        RunFiles(run).path("b.txt")


def test_epoch_pictures_are_found_by_image_mode_and_epoch(client):
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
