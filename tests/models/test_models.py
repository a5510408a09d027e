"""Networks of every setting take any image and give probabilities, and can be saved."""

import json
import zipfile
from collections.abc import Iterator
from typing import Any, get_args

import keras
import numpy as np
import pytest

from tiledseg.config import ModelSettings
from tiledseg.config.model import Activation
from tiledseg.models import build_model

SMALL = ModelSettings(base_filters=2, num_layers=3)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (2, 24, 40, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def seed() -> None:
    keras.utils.set_random_seed(1)


def predicted(model: Any, image: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(image, training=False)))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
class TestOutput:
    def test_is_float32_probability_of_the_images_size(self, image, precision):
        model = build_model(SMALL, 3, precision=precision)
        probability = predicted(model, image)
        assert probability.shape == (2, 24, 40, 1)
        assert probability.dtype == np.float32
        assert np.all((probability >= 0) & (probability <= 1))
        assert probability.std() > 0

    def test_is_shared_out_among_several_classes(self, image, precision):
        settings = SMALL.model_copy(update={"num_classes": 4})
        probability = predicted(build_model(settings, 3, precision=precision), image)
        assert probability.shape == (2, 24, 40, 4)
        assert probability.dtype == np.float32
        assert probability.std(axis=-1).max() > 0
        np.testing.assert_allclose(probability.sum(axis=-1), 1.0, atol=1e-6)

    def test_stays_in_bounds_where_the_network_is_certain(self, image, precision):
        model = build_model(SMALL, 3, precision=precision)
        model.get_layer("logits").bias.assign([1e4])
        assert np.array_equal(predicted(model, image), np.ones((2, 24, 40, 1), np.float32))

    def test_arithmetic_is_what_was_asked_for(self, image, precision):
        model = build_model(SMALL, 3, precision=precision)
        compute = {layer.name: layer.compute_dtype for layer in model.layers}
        assert compute["down0_1_conv"] == compute["up0_2_conv"] == precision.removeprefix("mixed_")
        assert compute["logits"] == compute["probability"] == "float32"
        assert {weight.dtype for weight in model.weights} == {"float32"}

    def test_intensities_may_be_of_any_dtype(self, image, precision):
        model = build_model(SMALL, 3, precision=precision)
        from_bytes = predicted(model, image)
        for dtype in (np.float32, np.int32, np.float64):
            np.testing.assert_array_equal(predicted(model, image.astype(dtype)), from_bytes)

    def test_the_precision_of_others_is_left_alone(self, image, precision):
        build_model(SMALL, 3, precision=precision)
        assert keras.config.dtype_policy().name == "float32"


class TestInput:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_channels(self, channels):
        model = build_model(SMALL, channels)
        assert model.input_shape == (None, None, None, channels)
        shown = np.zeros((1, 16, 16, channels), np.uint8)
        assert predicted(model, shown).shape == (1, 16, 16, 1)

    @pytest.mark.parametrize("sides", [(1, 1), (1, 5), (4, 3)])
    def test_sides_are_any_multiples_of_the_stride(self, sides):
        height, width = (side * SMALL.stride for side in sides)
        shown = np.zeros((1, height, width, 3), np.uint8)
        assert predicted(build_model(SMALL, 3), shown).shape == (1, height, width, 1)

    def test_images_of_a_batch_do_not_see_each_other(self, image):
        model = build_model(SMALL, 3)
        together = predicted(model, image)
        alone = np.concatenate([predicted(model, one[np.newaxis]) for one in image])
        np.testing.assert_allclose(together, alone, atol=1e-6)


class TestWeights:
    def test_follow_from_the_seed(self):
        first = build_model(SMALL, 3).get_weights()
        keras.utils.set_random_seed(1)
        again = build_model(SMALL, 3).get_weights()
        other = build_model(SMALL, 3).get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))

    def test_go_from_mixed_precision_into_float32(self, image):
        mixed = build_model(SMALL, 3, precision="mixed_bfloat16")
        plain = build_model(SMALL, 3)
        plain.set_weights(mixed.get_weights())
        np.testing.assert_allclose(predicted(mixed, image), predicted(plain, image), atol=0.03)


class TestSaving:
    @pytest.mark.parametrize("normalization", ["none", "batch"])
    def test_a_loaded_file_gives_the_same_answer(self, image, tmp_path, normalization):
        settings = SMALL.model_copy(update={"normalization": normalization, "activation": "mish"})
        model = build_model(settings, 3)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
        np.testing.assert_array_equal(predicted(loaded, image), predicted(model, image))

    def test_needs_no_code_of_ours(self, tmp_path):
        build_model(SMALL, 3, precision="mixed_bfloat16").save(tmp_path / "model.keras")
        with zipfile.ZipFile(tmp_path / "model.keras") as archive:
            config = json.loads(archive.read("config.json"))
        objects = list(serialized(config))
        assert len(objects) > 20
        for item in objects:
            assert item["module"].split(".")[0] == "keras", item
            assert item["registered_name"] in {None, "Functional"}, item
            assert "lambda" not in item["class_name"].lower()


def serialized(config: Any) -> Iterator[dict[str, Any]]:
    """Every object in a Keras configuration."""
    if isinstance(config, dict):
        if config.get("module") is not None and "class_name" in config:
            yield config
        for value in config.values():
            yield from serialized(value)
    elif isinstance(config, list):
        for value in config:
            yield from serialized(value)


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_builds_and_is_used(activation, image):
    settings = ModelSettings(base_filters=1, num_layers=2, activation=activation)
    model = build_model(settings, 3)
    assert keras.activations.get(activation) is model.get_layer("bridge_1").activation
    assert np.isfinite(predicted(model, image)).all()
