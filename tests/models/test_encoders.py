"""Weights of encoders: files are really loaded, downloads are checked, failures come early."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import keras
import numpy as np
import pytest

from tiledseg.config import ModelSettings
from tiledseg.errors import ExperimentError
from tiledseg.models import build_model, encoders
from tiledseg.models.encoders import WeightFile, load_encoder_weights, require_encoder_weights
from tiledseg.pipeline import train


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A file on a local server, published as the weights of EfficientNetB0."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "b0.h5").write_bytes(b"weights")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/b0.h5"

        def publish(md5: str, name: str = "b0.h5") -> WeightFile:
            file = WeightFile(url.replace("b0.h5", name), md5)
            monkeypatch.setitem(encoders.PUBLISHED, "EfficientNetB0", file)
            return file

        yield publish
        server.shutdown()


IMAGENET = ModelSettings(architecture="EfficientUNet", encoder_weights="imagenet")


class TestDownload:
    def test_happens_once(self, served, tmp_path):
        file = served(hashlib.md5(b"weights", usedforsecurity=False).hexdigest())
        path = require_encoder_weights(IMAGENET)
        assert path == file.path == tmp_path / "keras" / "models" / "b0.h5"
        (tmp_path / "web" / "b0.h5").unlink()
        assert require_encoder_weights(IMAGENET).read_bytes() == b"weights"

    @pytest.mark.parametrize("fault", ["missing", "changed"])
    def test_failure_names_the_file_and_its_place(self, served, fault):
        file = served("0" * 32, "other.h5" if fault == "missing" else "b0.h5")
        with pytest.raises(ExperimentError) as caught:
            require_encoder_weights(IMAGENET)
        message = str(caught.value)
        assert file.url in message
        assert f"put it at {file.path}" in message
        assert "none" in message

    def test_failure_comes_before_any_image_is_read(self, served, tiny_experiment):
        served("0" * 32, "other.h5")
        experiment = tiny_experiment().model_copy(update={"model": IMAGENET})
        with pytest.raises(ExperimentError, match="cannot be downloaded"):
            train(experiment)  # of a dataset that is not there either


def test_nothing_is_needed_where_weights_are_drawn():
    for name in ("UNet", "EfficientUNet", "DeepLabV3Plus"):
        assert require_encoder_weights(ModelSettings(architecture=name)) is None


def test_a_missing_file_is_named():
    settings = ModelSettings(architecture="DeepLabV3Plus", encoder_weights="no/such.h5")
    with pytest.raises(ExperimentError, match=r"'no/such\.h5'.*path of resnet50_weights"):
        require_encoder_weights(settings)


@pytest.mark.parametrize("content", ["other layers", "no weights"])
def test_a_file_of_something_else_is_refused(tmp_path, monkeypatch, content):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
    if content == "no weights":
        path.write_bytes(b"<html>Not found</html>")
    expected = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    monkeypatch.setattr(keras.applications, "EfficientNetB0", lambda **_: expected)
    settings = ModelSettings(architecture="EfficientUNet", encoder_weights=str(path))
    with pytest.raises(ExperimentError, match=r"does not hold the weights of EfficientNetB0"):
        load_encoder_weights(expected, settings)


@pytest.fixture
def published(monkeypatch):
    """Makes an application with weights of its own; it is not built again to load them into."""

    def make(name):
        application = getattr(keras.applications, name)
        model = application(include_top=False, weights=None, input_shape=(None, None, 3))
        randomise(model, 5)

        def known(**options):
            return application(**options) if "input_tensor" in options else model

        monkeypatch.setattr(keras.applications, name, known)
        return model

    return make


def test_published_hashes_and_names_are_those_of_keras():
    from keras.src.applications import efficientnet, resnet

    for size, sums in efficientnet.WEIGHTS_HASHES.items():
        file = encoders.PUBLISHED[f"EfficientNet{size.upper()}"]
        assert file.md5 == sums[1]
        assert file.url == f"{efficientnet.BASE_WEIGHTS_PATH}efficientnet{size}_notop.h5"
    file = encoders.PUBLISHED["ResNet50"]
    assert file.md5 == resnet.WEIGHTS_HASHES["resnet50"][1]
    assert file.url.startswith(resnet.BASE_WEIGHTS_PATH)


def test_a_loaded_efficientnet_sees_what_the_published_one_sees(published, tmp_path):
    """Its last features, for an image that is normalized by hand."""
    theirs = published("EfficientNetB0")
    path = tmp_path / "b0.weights.h5"
    theirs.save_weights(path)
    randomise(theirs, 6)
    settings = ModelSettings(
        architecture="EfficientUNet", base_filters=1, encoder_weights=str(path)
    )
    model = build_model(settings, 3, pretrained=True)
    features = keras.Model(model.inputs[0], model.get_layer("top_activation").output)
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3)).astype(np.float32)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normal = (image / 255 - mean) / deviation / np.sqrt(deviation)
    expected = np.asarray(theirs(255.0 * normal, training=False))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(np.asarray(features(image)), expected, atol=1e-3 * expected.std())


def test_a_loaded_resnet_sees_what_the_published_one_sees(published, tmp_path):
    """Up to the stage that is dilated, for a gray image shown as color."""
    theirs = published("ResNet50")
    path = tmp_path / "resnet.weights.h5"
    theirs.save_weights(path)
    randomise(theirs, 6)
    settings = ModelSettings(
        architecture="DeepLabV3Plus", base_filters=1, encoder_weights=str(path)
    )
    model = build_model(settings, 1, pretrained=True)
    gray = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 1)).astype(np.float32)
    shown = keras.applications.resnet50.preprocess_input(np.repeat(gray, 3, axis=3))
    for name in ("conv1_relu", "conv4_block6_out"):
        ours = keras.Model(model.inputs[0], model.get_layer(name).output)(gray)
        expected = keras.Model(theirs.inputs[0], theirs.get_layer(name).output)(shown)
        scale = np.asarray(expected).std()
        np.testing.assert_allclose(np.asarray(ours), np.asarray(expected), atol=1e-3 * scale)


def randomise(model: keras.Model, seed: int) -> None:
    """Move normalizations away from where all networks start."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
