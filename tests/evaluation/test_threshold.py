import keras
import numpy as np
import pytest

from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.errors import RegistryError, TrainingError
from tiledseg.evaluation.threshold import tune_threshold
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_image, write_mask
from tiledseg.models import build_model
from tiledseg.prediction.predictor import MODES, THRESHOLD_FILE, Predictor


@pytest.fixture
def samples(tiny_dataset, tiny_experiment):
    tiny_dataset()
    return load_dataset(tiny_experiment().dataset, data_root()).splits["valid"]


@pytest.fixture
def predictor(tiny_experiment):
    experiment = tiny_experiment()
    keras.utils.set_random_seed(1)
    model = build_model(experiment.model, 3)
    layer = model.get_layer("logits")
    layer.kernel.assign(layer.kernel * 40)  # probabilities that spread over 0 to 1
    return Predictor(model, experiment)


def write_targets(predictor, samples, threshold):
    for sample in samples:
        probability = predictor.probability(read_image(sample.image))[..., 0]
        assert 0 < (probability >= threshold).mean() < 1
        write_mask(sample.mask, probability >= threshold)


@pytest.mark.parametrize("logit", [-1.5, 0.0, 1.25])
@pytest.mark.parametrize("mode", MODES)
def test_the_threshold_that_made_the_target_is_found(predictor, samples, logit, mode):
    threshold = 1 / (1 + np.exp(-logit))
    write_targets(predictor, samples, threshold)
    weights = predictor.model.get_weights()
    assert tune_threshold(predictor, samples) == pytest.approx(threshold)
    assert tune_threshold(predictor.replace(threshold=0.9), samples) == pytest.approx(threshold)
    moved = predictor.replace(threshold=threshold)
    for sample in samples:
        image = read_image(sample.image)
        wanted = predictor.probability(image, mode)[..., 0] >= threshold
        if mode == "intersection":
            resized, tiled = (
                predictor.probability(image, each)[..., 0] >= threshold
                for each in ("resized", "tiled")
            )
            wanted = resized & tiled
        assert (moved.mask(image, mode) != wanted).mean() < 1e-3
    for before, after in zip(weights, predictor.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_threshold_is_kept_with_the_network(predictor, samples, tmp_path):
    predictor.replace(threshold=0.75).save(tmp_path)
    image = read_image(samples[0].image)
    loaded = Predictor.load(tmp_path)
    assert loaded.threshold == 0.75
    assert np.array_equal(loaded.mask(image), predictor.replace(threshold=0.75).mask(image))
    assert not np.array_equal(loaded.mask(image), predictor.mask(image))
    (tmp_path / THRESHOLD_FILE).write_text("{}")
    with pytest.raises(RegistryError, match="holds no threshold"):
        Predictor.load(tmp_path)


@pytest.mark.parametrize(("min_object_area", "found"), [(20, 0.5), (0, 0.75)])
def test_objects_that_are_too_small_do_not_count_at_any_threshold(
    samples, tiny_experiment, min_object_area, found
):
    """A cone at a logit of 0.5 is the target; faint dots beside it reach one of 0.6."""
    rows, columns = np.indices((96, 96))
    logits = np.clip(4.0 - np.hypot(rows - 48, columns - 48) / 6, -4, 4)
    target = logits >= 0.5
    for row in (4, 12, 84, 92):
        for column in range(4, 96, 8):
            logits[row - 1 : row + 3, column - 1 : column + 3] = 0.6
    image = np.rint((logits + 4) * 25)[..., np.newaxis].repeat(3, axis=2).astype(np.uint8)
    for sample in samples:
        write_image(sample.image, image)
        write_mask(sample.mask, target)
    predictor = Predictor(
        network_of_brightness(), tiny_experiment(tiling={"min_object_area": min_object_area})
    )
    assert tune_threshold(predictor, samples) == pytest.approx(1 / (1 + np.exp(-found)))


def test_the_threshold_of_means_of_orientations_is_that_of_the_means(samples, tiny_experiment):
    """Of four views of a faint part one sees nothing, so that its mean is 0.75 * 0.39."""
    rows, columns = np.indices((96, 96))
    logits = np.full((96, 96), -4.0)
    logits[10:30, 10:80] = 4.0
    faint = np.s_[40:60, 10:80]
    logits[faint] = -0.44
    image = np.zeros((96, 96, 3), np.uint8)
    image[..., 0] = np.rint((logits + 4) * 25)
    seen = np.s_[39:61, 9:81]
    # Of the four corners of any pixel one is green.
    image[seen][..., 1] = np.where((rows % 4 < 2) & (columns % 4 < 2), 255, 0)[seen]
    for sample in samples:
        write_image(sample.image, image)
        write_mask(sample.mask, logits > -1)
    predictor = Predictor(network_that_looks_to_one_side(), tiny_experiment(tiling={"tta": 4}))
    threshold = tune_threshold(predictor, samples)
    assert 0.1 < threshold < 0.75 * 0.39
    found = predictor.replace(threshold=threshold).mask(image)
    assert found[45:55, 15:75].all()
    assert not predictor.mask(image)[45:55, 15:75].any()


def network_that_looks_to_one_side():
    """Red sets the logit, a 25th of it less 4; green to the upper left says that it is none."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(1, 3, padding="same", name="logits")
    probability = keras.layers.Activation("sigmoid")(layer(image))
    kernel = np.zeros((3, 3, 3, 1))
    kernel[1, 1, 0], kernel[0, 0, 1] = 1 / 25, -1
    layer.kernel.assign(kernel)
    layer.bias.assign([-4.0])
    return keras.Model(image, probability)


def network_of_brightness():
    """Its logit is a 25th of the mean intensity, less 4."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(1, 1, name="logits")
    probability = keras.layers.Activation("sigmoid")(layer(image))
    layer.kernel.assign(np.full((1, 1, 3, 1), 1 / 75))
    layer.bias.assign([-4.0])
    return keras.Model(image, probability)


def test_nothing_moves_where_nothing_is_gained(predictor, samples):
    write_targets(predictor, samples, 0.5)
    assert tune_threshold(predictor, samples) == 0.5


def test_several_classes_are_refused(samples, tiny_experiment):
    image = keras.Input((None, None, 3))
    network = keras.Model(image, keras.layers.Conv2D(3, 1, activation="softmax")(image))
    with pytest.raises(TrainingError, match=r"training\.tune_threshold"):
        tune_threshold(Predictor(network, tiny_experiment()), samples)
