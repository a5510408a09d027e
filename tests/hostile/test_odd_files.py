"""Pipes, devices, sockets and folders under the names of files: refused at once, at every door."""

import os
import socket
import sys
from pathlib import Path

import pytest

from tiledseg.__main__ import main
from tiledseg.errors import TiledsegError
from tiledseg.images.hashing import hash_content
from tiledseg.images.opening import open_slide, slide_shape
from tiledseg.images.reading import read_header, read_image, read_mask
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor

pytestmark = pytest.mark.timeout(120)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # an address is short
    try:
        with socket.socket(socket.AF_UNIX) as place:
            place.bind(path.name)
    finally:
        os.chdir(here)


def loop(path: Path) -> None:
    path.symlink_to(path)


MAKERS = (pipe, device, folder, unix_socket, loop)


@pytest.fixture
def refused(monkeypatch, capsys):
    """Check that a command is refused with one line that holds a path."""

    def check(path: Path, *words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["tiledseg", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr().err
        assert ended.value.code == 1, shown
        assert len(shown.strip().splitlines()) == 1, shown
        assert str(path) in shown

    return check


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".svs", ".jp2"])
def test_images(tmp_path, make, suffix):
    path = tmp_path / f"a{suffix}"
    make(path)
    for read in (read_image, read_header, read_mask, open_slide, slide_shape):
        with pytest.raises(TiledsegError, match=r"(cannot be read \(|does not exist|Zarr)"):
            read(path)
    if make is not folder:  # whose content it is, where it is a store
        with pytest.raises(TiledsegError, match="cannot be read"):
            hash_content(path)


@pytest.mark.parametrize("make", [pipe, device, folder])
def test_commands(tmp_path, make, refused, tiny_experiment, tiny_dataset):
    images = tiny_dataset() / "test" / "images"
    experiment = tiny_experiment()
    network = tmp_path / "network"
    network.mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "Tiny.yaml").write_text(experiment.to_yaml())
    Predictor(build_model(experiment.model, 3), experiment).save(network)
    predict = ["predict", "--model", str(network), "--output", str(tmp_path / "out")]
    picture, settings = tmp_path / "odd.png", tmp_path / "odd.yaml"
    make(picture)
    make(settings)
    if make is not folder:
        refused(picture, *predict, "--images", str(picture))
    refused(picture, *predict, "--images", str(images), "--roi", str(picture))
    refused(settings, "train", "--experiment", str(settings))
    refused(settings, "sweep", "--dataset", "Tiny", "--trials", "1", "--space", str(settings))
    refused(settings, "import-config", str(settings), "--out", str(tmp_path / "out"))


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9/model", "https://example.invalid/m", "s3://bucket/m", "file:///etc/passwd",
     "ftp://127.0.0.1/m", "dbfs:/m", "mlflow-artifacts:/m", "models:/", "runs:/", "models:/a/b/c/d",
     "a" * 5000, "a\0b", "../" * 40],
)  # fmt: skip
def test_addresses_of_models(refused, own_tables, tiny_dataset, address, tmp_path):
    images = str(tiny_dataset() / "test" / "images")
    words = ("predict", "--model", address, "--images", images, "--output", str(tmp_path / "out"))
    refused("model", *words)
