import math

import cv2
import keras
import numpy as np
import psutil
import pytest

from tiledseg.config import ImageSettings
from tiledseg.data.dataset import load_dataset
from tiledseg.data.preprocessing import preprocess
from tiledseg.errors import ImageError, RegistryError, TilingError
from tiledseg.evaluation.evaluate import evaluate_images
from tiledseg.masks.classes import labels_of
from tiledseg.models import build_model
from tiledseg.prediction.predictor import (
    EXPERIMENT_FILE,
    FORMAT_FILE,
    MODEL_FILE,
    THRESHOLD_FILE,
    Predictor,
    to_mask,
)
from tiledseg.tiling.execution import runtimes
from tiledseg.tiling.execution.memory import bytes_per_pixel
from tiledseg.tiling.execution.runtimes import forward_of


@pytest.fixture(scope="module")
def predictor(tiny_experiment):
    experiment = tiny_experiment()
    return Predictor(build_model(experiment.model, 3), experiment)


def exact_sums(experiment):
    """A network whose sums are exact in float32, so that the same windows give the same bits.

    Other sums would depend on their order. TensorFlow keeps convolutions by their shapes, for each
    of its threads, and two of the same shape that add in another order are both in use once a
    network of variable weights has computed in the process.
    """
    pixels = keras.Input((None, None, experiment.image.channels))
    full = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(pixels)
    half = keras.layers.Conv2D(8, 3, padding="same")(keras.layers.MaxPooling2D()(full))
    back = keras.layers.Conv2DTranspose(4, 2, 2)(half)
    score = keras.layers.Conv2D(1, 1)(keras.layers.Concatenate()([full, back]))
    model = keras.Model(
        pixels, keras.layers.Activation("sigmoid")(keras.layers.Rescaling(2.0**-14)(score))
    )
    rng = np.random.default_rng(3)
    model.set_weights([rng.integers(-1, 2, each.shape) for each in model.get_weights()])
    return Predictor(model, experiment)


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(0, 256, (130, 97, 3), np.uint8)


def test_tiled_is_one_pass_over_the_whole_image(predictor, image):
    assert len(predictor.grid(130, 97).tiles) > 1
    tiled, full = predictor.probability(image), predictor.probability(image, "single_pass")
    assert tiled.shape == (130, 97, 1)
    assert np.abs(tiled - full).max() <= 1e-5
    assert np.array_equal(to_mask(tiled), to_mask(full))


@pytest.mark.parametrize("runtime", ["keras", "openvino"])
def test_weights_of_now_are_used_and_compiled_once(tiny_experiment, image, runtime):
    experiment = tiny_experiment()
    predictor = Predictor(build_model(experiment.model, 3), experiment, runtime=runtime)
    before, held = predictor.probability(image), forward_of(predictor.model, runtime)
    assert forward_of(predictor.model, runtime) is held, "the same weights, the same function"
    *_, last = (layer for layer in predictor.model.layers if layer.weights)
    last.set_weights([-weights for weights in last.get_weights()])
    assert forward_of(predictor.model, runtime) is not held
    after = predictor.probability(image)
    assert np.abs(before + after - 1).max() <= (1e-5 if runtime == "keras" else 1e-2), "mirrored"
    assert np.abs(before - after).max() > 1e-3
    window = image[np.newaxis, :64, :64]
    whole = np.abs(held(window) + forward_of(predictor.model, runtime)(window) - 1)
    assert whole.max() <= 1e-2, "who holds the pass of a while ago keeps it"


def test_passes_of_weights_that_are_gone_take_no_memory():
    wide = keras.Sequential(
        [keras.Input((None, None, 3)), *(keras.layers.Conv2D(640, 3) for _ in range(2))]
    )
    last = wide.layers[-1]
    window, resident = np.zeros((1, 8, 8, 3), np.uint8), []
    for number in range(12):
        last.set_weights([np.full_like(weights, number) for weights in last.get_weights()])
        forward_of(wide)(window)
        resident.append(psutil.Process().memory_info().rss)
    weights = 4 * wide.count_params()
    assert resident[-1] - resident[3] < 4 * weights, "eight generations of weights"


@pytest.mark.parametrize("mode", ["tiled", "resized"])
def test_orientations_are_averaged(tiny_experiment, predictor, image, mode):
    pair = Predictor(predictor.model, tiny_experiment(tiling={"tta": 2}))
    image = image[:, :96]  # of an odd width, the padding would lie on the other side
    mirrored = predictor.probability(np.ascontiguousarray(image[:, ::-1]), mode)[:, ::-1]
    expected = (predictor.probability(image, mode) + mirrored) / 2
    assert np.allclose(pair.probability(image, mode), expected, atol=1e-6)
    assert not np.allclose(expected, predictor.probability(image, mode), atol=1e-4)


def test_tiled_is_one_pass_in_every_orientation(tiny_experiment, predictor, image):
    turned = Predictor(predictor.model, tiny_experiment(tiling={"tta": 8}))
    tiled, full = turned.probability(image), turned.probability(image, "single_pass")
    assert np.abs(tiled - full).max() <= 1e-5


@pytest.mark.parametrize("stain", ["macenko", "reinhard"])
@pytest.mark.parametrize("mode", ["tiled", "resized", "single_pass"])
def test_stain_normalization_is_of_the_whole_image(tiny_experiment, stain, mode):
    """Tiles show what the image normalized beforehand shows; on their own they would not."""
    rng = np.random.default_rng(2)
    amounts = np.abs(cv2.GaussianBlur(rng.normal(0, 8, (600, 97, 2)), (0, 0), 6))
    amounts[300:] *= 0.3
    light = 240 * np.exp(-amounts @ np.array([[0.65, 0.70, 0.29], [0.09, 0.95, 0.28]]))
    image = np.clip(light, 0, 255).astype(np.uint8)
    predictor = exact_sums(tiny_experiment())
    stained = Predictor(predictor.model, tiny_experiment(image={"stain": stain}))
    normal = preprocess(image, ImageSettings.model_validate({"stain": stain}))
    probability = stained.probability(image, mode)
    np.testing.assert_array_equal(probability, predictor.probability(normal, mode))
    assert not np.allclose(probability, predictor.probability(image, mode), atol=1e-4)


class Recorded:
    """An image that knows which rectangles of it were read, and a sink that keeps them apart."""

    def __init__(self, image):
        self.image, self.shape = image, image.shape
        self.read_regions, self.written = [], {}

    def read(self, region):
        for span, length in zip(region, self.shape[:2], strict=True):
            assert 0 <= span.start < span.stop <= length
        self.read_regions.append(region)
        return self.image[region].copy()

    def write(self, region, values):
        self.written[tuple((span.start, span.stop) for span in region)] = values.copy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {"sharpening": 2.0, "gamma": 1.7},
        {"color_space": "lab", "sharpening": 1.0},
        {"color_space": "hsv"},
        {"color_space": "gray", "channels": 1, "sharpening": 1.0},
    ],
    ids=str,
)
def test_streamed_is_the_answer_at_once(tiny_experiment, image, channels, settings):
    experiment = tiny_experiment(image=settings, tiling={"tta": 2})
    predictor = exact_sums(experiment)
    stored = Recorded(image[..., :channels])
    predictor.predict_regions(stored, stored)
    assert len(stored.written) == len(predictor.grid(130, 97).tiles) > 1
    answer = np.full((130, 97, 1), np.nan, np.float32)
    for (rows, columns), values in stored.written.items():
        answer[slice(*rows), slice(*columns)] = values
    full = predictor.probability(image[..., :channels], "single_pass")
    assert np.abs(answer - full).max() <= 1e-5
    assert np.array_equal(answer, predictor.probability(image[..., :channels]))
    largest = max(math.prod(s.stop - s.start for s in region) for region in stored.read_regions)
    assert largest <= (experiment.tiling.max_tile + 6) ** 2 < image[..., 0].size


def test_streaming_goes_on_where_it_stopped(predictor, image):
    count = len(predictor.grid(130, 97).tiles)
    stored, told = Recorded(image), []
    finished = frozenset(range(0, count, 2))
    predictor.predict_regions(stored, stored, finished=finished, on_batch=told.extend)
    assert told == sorted(set(range(count)) - finished)
    cores = [predictor.grid(130, 97).tiles[index].core for index in told]
    assert list(stored.written) == [tuple((s.start, s.stop) for s in core) for core in cores]


@pytest.mark.parametrize("mode", ["exact", "blend"])
def test_small_tiles_go_together_as_far_as_the_memory_has_room(
    predictor, tiny_experiment, image, monkeypatch, mode
):
    at_once = []

    def watched(model, runtime):
        forward = forward_of(model, runtime)

        def count(windows):
            at_once.append(windows[..., 0].size)
            return forward(windows)

        return count

    monkeypatch.setattr("tiledseg.prediction.predictor.forward_of", watched)
    bound = 5000 * bytes_per_pixel(predictor.model)
    for most, gigabytes in ((5000, bound / 1e9), (130 * 97 * 9, None)):
        # with orientations, whole windows are computed in any case
        tiling = {"mode": mode, "memory_gigabytes": gigabytes, "tta": 2}
        Predictor(predictor.model, tiny_experiment(tiling=tiling)).probability(image)
        assert 0 < max(at_once) <= most
    assert max(at_once) > 5000, "there is a bound to keep"


@pytest.mark.parametrize("mode", ["resized", "single_pass", "intersection"])
def test_modes_that_see_the_image_at_once_can_be_streamed_to(tiny_experiment, image, mode):
    predictor, stored = exact_sums(tiny_experiment()), Recorded(image)
    predictor.predict_regions(stored, stored, mode)
    (values,) = stored.written.values()
    assert np.array_equal(values, predictor.probability(image, mode))


def test_a_stored_image_of_other_channels_is_refused(predictor):
    stored = Recorded(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(ImageError, match=r"\(4, 4, 2\)"):
        predictor.predict_regions(stored, stored)


@pytest.mark.parametrize("classes", [1, 3])
def test_and_whole_is_what_both_found(tiny_experiment, image, classes):
    pixels = keras.Input((None, None, 3))
    activation = "sigmoid" if classes == 1 else "softmax"
    color = keras.layers.Conv2D(classes, 1, activation=activation)
    both = Predictor(keras.Model(pixels, color(pixels)), tiny_experiment())
    if classes == 1:  # red
        color.set_weights([np.array([1, 0, 0.0]).reshape(1, 1, 3, 1), np.array([-127])])
    else:  # neither, green, blue
        color.set_weights([np.diag([0, 1, 1.0]).reshape(1, 1, 3, 3), np.array([127, 0, 0])])
    tiled, whole = (labels_of(both.probability(image, mode)) for mode in ("tiled", "resized"))
    found = labels_of(both.probability(image, "intersection"))
    np.testing.assert_array_equal(found, np.where(whole > 0, tiled, 0))
    assert len(np.unique(found[tiled != found])) == 1  # erased somewhere, changed nowhere
    assert found.any()


def test_whole_sees_a_resized_image(predictor, image):
    whole = predictor.probability(image, "resized")
    assert whole.shape == (130, 97, 1)
    assert np.abs(whole - predictor.probability(image)).max() > 1e-3


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (40, 40), (40, 40, 1)])
def test_images_of_any_size_and_gray_ones(predictor, shape):
    pixels = np.zeros(shape, np.uint8)
    for mode in ("tiled", "resized"):
        assert predictor.mask(pixels, mode).shape == shape[:2]


def test_gray_means_equal_channels(tiny_experiment):
    predictor = exact_sums(tiny_experiment())
    gray = np.random.default_rng(2).integers(0, 256, (40, 40), np.uint8)
    color = np.stack([gray] * 3, axis=-1)
    assert np.array_equal(predictor.probability(gray), predictor.probability(color))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_refused(predictor, pixels):
    with pytest.raises(ImageError):
        predictor.probability(pixels)


def test_an_unknown_mode_is_refused(predictor, image):
    with pytest.raises(TilingError, match="use one of tiled, resized, single_pass"):
        predictor.probability(image, "tilde")


def test_preprocessing_is_part_of_the_prediction(tiny_experiment, predictor, image):
    dark = tiny_experiment(image={"gamma": 2.5})
    darker = Predictor(predictor.model, dark)
    assert not np.array_equal(darker.probability(image), predictor.probability(image))


def test_saved_and_loaded_is_the_same(tiny_experiment, image, tmp_path):
    predictor = exact_sums(tiny_experiment())
    predictor.save(tmp_path)
    loaded = Predictor.load(tmp_path)
    assert loaded.experiment == predictor.experiment
    assert np.array_equal(loaded.probability(image), predictor.probability(image))


def test_a_broken_model_file_is_named(predictor, tmp_path):
    predictor.save(tmp_path)
    (tmp_path / MODEL_FILE).write_bytes(b"no model")
    with pytest.raises(RegistryError, match=MODEL_FILE):
        Predictor.load(tmp_path)
    (tmp_path / MODEL_FILE).unlink()
    with pytest.raises(RegistryError, match=MODEL_FILE):
        Predictor.load(tmp_path)


def test_the_experiment_and_the_threshold_lie_beside_the_model(predictor, tmp_path):
    predictor.save(tmp_path)
    names = {MODEL_FILE, EXPERIMENT_FILE, FORMAT_FILE, THRESHOLD_FILE}
    assert {path.name for path in tmp_path.iterdir()} == names


class TestNetworksThatLookAtTheWholeTile:
    """Every window has its own statistics, so that tiles are blended."""

    @pytest.fixture(scope="class")
    @staticmethod
    def normalizing(tiny_experiment):
        keras.utils.set_random_seed(3)
        image = keras.Input((None, None, 3))
        tensor = keras.layers.Conv2D(2, 3, padding="same")(image)
        tensor = keras.layers.GroupNormalization(1)(tensor)
        answer = keras.layers.Conv2D(1, 1, activation="sigmoid")(tensor)
        return Predictor(keras.Model(image, answer), tiny_experiment())

    def test_are_blended_without_being_asked(self, normalizing, image):
        assert not normalizing.is_exact
        assert normalizing.grid(130, 97).tile_shape == (32, 32)
        probability = normalizing.probability(image)
        assert probability.shape == (130, 97, 1)
        jumps = [
            np.abs(np.diff(probability, axis=0))[[row - 1 for row in rows]].mean()
            for rows in (normalizing.grid(130, 97).seam_rows, range(5, 125))
        ]
        assert jumps[0] < 1.2 * jumps[1]

    def test_see_every_window_as_it_was_in_training(self, normalizing, image):
        window = image[:32, :32]
        alone = normalizing.probability(window)
        assert np.allclose(alone, normalizing.probability(window, "resized"), atol=1e-6)

    def test_stream_to_the_same_answer(self, normalizing, image):
        stored, grid = Recorded(image), normalizing.grid(130, 97)
        done = frozenset({0, 1, len(grid.tiles) - 1})
        normalizing.predict_regions(stored, stored, finished=done)
        expected = normalizing.probability(image)
        assert len(stored.written) == len(grid.tiles) - 3
        for (rows, columns), values in stored.written.items():
            assert np.allclose(values, expected[slice(*rows), slice(*columns)], atol=1e-6)

    def test_can_be_evaluated(self, normalizing, tiny_dataset, tiny_experiment):
        samples = load_dataset(tiny_experiment().dataset, tiny_dataset().parent).splits["test"]
        (first, _) = evaluate_images(normalizing, samples, "test", normalizing.experiment)
        assert set(first.seams) == {"gradient_ratio"}
        assert first.probabilities["tiled"].shape == (96, 96, 1)


def test_a_network_of_one_size_predicts_any_image(tiny_experiment, image):
    layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(1, 3, padding="same")]
    predictor = Predictor(keras.Sequential(layers), tiny_experiment())
    assert predictor.grid(130, 97).tile_shape == (32, 32)
    for shape in ((130, 97), (1, 1), (20, 60)):
        assert predictor.probability(image[: shape[0], : shape[1]]).shape == (*shape, 1)


@pytest.mark.parametrize("window", ["hann", "gaussian"])
def test_blended_identity_gives_the_image_back(tiny_experiment, image, window):
    tensor = keras.Input((None, None, 3))
    model = keras.Model(tensor, keras.layers.Identity()(tensor))
    blended = tiny_experiment(tiling={"mode": "blend", "window": window, "overlap": 0.6})
    assert np.allclose(Predictor(model, blended).probability(image), image, atol=1e-3)


def test_the_plan_is_told(predictor):
    plan = predictor.plan(130, 97)
    assert plan.grid == predictor.grid(130, 97)
    assert plan.lines()[0].startswith("mode    exact")


class TestOpenVino:
    @pytest.fixture
    def converted(self, predictor):
        return Predictor(predictor.model, predictor.experiment, runtime="openvino")

    def test_gives_the_same_answer(self, converted, predictor, image, monkeypatch):
        monkeypatch.setattr(runtimes, "has_bfloat16_units", lambda: False)
        for mode in ("tiled", "resized"):
            expected = predictor.probability(image, mode)
            assert np.abs(converted.probability(image, mode) - expected).max() <= 1e-5

    def test_tells_nobody(self, converted, image):
        """OpenVINO's reports to its makers are off."""
        converted.probability(image[:8, :8])
        from openvino.tools.ovc import telemetry_utils

        assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"

    def test_missing(self, predictor, image, monkeypatch):
        def missing(*_):
            raise ImportError("No module named 'openvino'")

        monkeypatch.setattr(runtimes, "openvino_forward", missing)
        with pytest.raises(TilingError, match="pip install openvino"):
            Predictor(predictor.model, predictor.experiment, runtime="openvino").probability(image)

    def test_unknown_runtime(self, predictor, image):
        with pytest.raises(TilingError, match="'onnx'; use one of keras, openvino"):
            Predictor(predictor.model, predictor.experiment, runtime="onnx").probability(image)
