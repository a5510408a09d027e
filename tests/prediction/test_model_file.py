"""Files of networks: what is damaged, or claims more than it holds, is refused in one line."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest

from tiledseg.errors import RegistryError
from tiledseg.models import build_model
from tiledseg.prediction import model_file
from tiledseg.prediction.predictor import Predictor

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def sound(tmp_path_factory, tiny_experiment):
    """The folder of a network."""
    experiment = tiny_experiment()
    folder = tmp_path_factory.mktemp("sound")
    Predictor(build_model(experiment.model, 3), experiment, threshold=0.4).save(folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    """A copy of it."""
    place = tmp_path / "network"
    place.mkdir()
    for file in sound.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def refuse(folder, words):
    with pytest.raises(RegistryError, match=words) as told:
        Predictor.load(folder)
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(str(folder))


def rewrite(folder, **members):
    """Write the archive anew with other members; a dot is two underscores."""
    path = folder / "model.keras"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts |= {name.replace("__", "."): content for name, content in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def config_of(folder):
    with zipfile.ZipFile(folder / "model.keras") as archive:
        return json.loads(archive.read("config.json"))


def test_a_sound_network_is_read_also_if_it_is_packed(folder):
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    before = Predictor.load(folder)
    rewrite(folder)
    after = Predictor.load(folder)
    assert after.threshold == before.threshold == 0.4
    np.testing.assert_array_equal(before.probability(image), after.probability(image))


def test_what_was_measured_is_never_made(folder, monkeypatch):
    """Keras makes variables that have no values yet when a scope ends, whoever began them."""
    Predictor.load(folder)
    made = []
    monkeypatch.setattr(keras.Variable, "_deferred_initialize", made.append)
    with keras.StatelessScope():
        pass
    assert not made


def test_a_flipped_byte_anywhere(folder):
    path = folder / "model.keras"
    sound = path.read_bytes()
    for place in np.linspace(0, len(sound) - 1, 25).astype(int).tolist():
        data = bytearray(sound)
        data[place] ^= 0xFF
        path.write_bytes(data)
        try:
            Predictor.load(folder)  # a time or a name that nothing depends on
        except RegistryError as error:
            assert "not a usable model" in str(error)
            assert "\n" not in str(error)
    path.write_bytes(sound[: len(sound) // 2])
    refuse(folder, "model.keras: not a usable model: File is not a zip file")


def test_members_that_unpack_to_far_more(folder):
    rewrite(folder, config__json=b" " * (model_file._MOST_TEXT + 1))
    refuse(folder, r"its config.json of \d+ bytes unpacks to 8 MB")
    rewrite(folder, config__json=b"{}", model__weights__h5=bytes(2**27))
    refuse(folder, r"its model.weights.h5 of \d+ bytes unpacks to 134 MB")


def test_members_that_no_network_has(folder):
    rewrite(folder, assets__txt=b"")
    refuse(folder, "it holds 'assets.txt', which no network of tiledseg has")


def test_layers_larger_than_the_weights(folder):
    config = config_of(folder)
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Conv2D":
            layer["config"]["kernel_size"] = [2048, 2048]
    rewrite(folder, config__json=json.dumps(config).encode())
    refuse(folder, r"its layers take \d+ MB, and its weights have 0")


@pytest.mark.parametrize("name", ["model.keras", "threshold.json", "experiment.yaml"])
def test_a_pipe_in_place_of_a_file(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(Exception, match="it is a pipe, not a file"):
        Predictor.load(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"threshold": null}', '{"threshold": NaN}', '{"threshold": 1}',
             '{"threshold": -0.1}', '{"threshold": 1e999}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_threshold(folder, text):
    (folder / "threshold.json").write_text(text)
    refuse(folder, "threshold")
