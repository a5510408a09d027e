import keras
import numpy as np
import pytest

from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.errors import TrainingError
from tiledseg.evaluation.threshold import tune_threshold
from tiledseg.images.reading import read_image
from tiledseg.images.writing import write_image, write_mask
from tiledseg.models import build_model
from tiledseg.prediction.predictor import Predictor


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


def targets_cut_at(predictor, samples, cut):
    for sample in samples:
        probability = predictor.probability(read_image(sample.image))[..., 0]
        assert 0 < (probability >= cut).mean() < 1
        write_mask(sample.mask, probability >= cut)


@pytest.mark.parametrize("shift", [-1.5, 0.0, 1.25])
def test_the_cut_that_made_the_target_is_found(predictor, samples, shift):
    cut = 1 / (1 + np.exp(-shift))
    targets_cut_at(predictor, samples, cut)
    wanted = [predictor.probability(read_image(s.image))[..., 0] >= cut for s in samples]
    assert tune_threshold(predictor, samples) == pytest.approx(cut)
    for sample, mask in zip(samples, wanted, strict=True):
        differing = predictor.mask(read_image(sample.image)) != mask
        assert differing.mean() < 1e-3, "0.5 is the cut now"


@pytest.mark.parametrize(("min_object_area", "found"), [(20, 0.5), (0, 0.75)])
def test_objects_that_are_too_small_do_not_count_at_any_cut(
    samples, tiny_experiment, min_object_area, found
):
    """A cone cut at a logit of 0.5 is the target; faint dots beside it reach one of 0.6."""
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


def test_a_shift_that_makes_means_of_orientations_worse_is_undone(samples, tiny_experiment, caplog):
    """Of four views of a faint part one sees nothing, in which a shift changes nothing.

    A cut at a logit of -1 finds the faint part (0.75 * 0.39) and some ground (0.31). Shifted by
    as much, the ground is above 0.5 (0.55), and the faint part is not (0.75 * 0.64).
    """
    rows, columns = np.indices((96, 96))
    logits = np.full((96, 96), -4.0)
    logits[10:30, 10:80] = 4.0
    faint, ground = np.s_[40:60, 10:80], np.s_[70:76, 10:80]
    logits[faint], logits[ground] = -0.44, -0.8
    target = logits == 4.0
    target[faint] = True
    image = np.zeros((96, 96, 3), np.uint8)
    image[..., 0] = np.rint((logits + 4) * 25)
    seen = np.s_[39:61, 9:81]
    # Of the four corners of any pixel one is green.
    image[seen][..., 1] = np.where((rows % 4 < 2) & (columns % 4 < 2), 255, 0)[seen]
    for sample in samples:
        write_image(sample.image, image)
        write_mask(sample.mask, target)
    experiment = tiny_experiment(tiling={"tta": 4})
    predictor = Predictor(network_that_looks_to_one_side(), experiment)
    before = predictor.probability(image)
    with caplog.at_level("INFO"):
        assert tune_threshold(predictor, samples) == 0.5
    assert np.array_equal(predictor.probability(image), before)
    assert "stays at 0.5: moved to 0.269, Dice on validation images 0.6" in caplog.text
    alone = Predictor(predictor.model, tiny_experiment())
    assert tune_threshold(alone, samples) != 0.5, "without the mean a shift does what it says"


def network_of_brightness():
    """Its logit is a 25th of the mean intensity, less 4."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(1, 1, name="logits")
    probability = keras.layers.Activation("sigmoid")(layer(image))
    layer.kernel.assign(np.full((1, 1, 3, 1), 1 / 75))
    layer.bias.assign([-4.0])
    return keras.Model(image, probability)


def test_nothing_moves_where_nothing_is_gained(predictor, samples):
    targets_cut_at(predictor, samples, 0.5)
    before = predictor.probability(read_image(samples[0].image))
    assert tune_threshold(predictor, samples) == 0.5
    assert np.array_equal(predictor.probability(read_image(samples[0].image)), before)


def test_a_network_without_a_bias_is_refused(tiny_experiment, samples):
    image = keras.Input((None, None, 3))
    bare = keras.layers.Conv2D(1, 1, use_bias=False, activation="sigmoid", name="logits")(image)
    predictor = Predictor(keras.Model(image, bare), tiny_experiment())
    with pytest.raises(TrainingError, match=r"training\.tune_threshold"):
        tune_threshold(predictor, samples)
