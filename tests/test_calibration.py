import keras
import numpy as np
import pytest

from tiledseg.calibration import calibrate
from tiledseg.data.dataset import data_root, load_dataset
from tiledseg.data.images import read_image, write_mask
from tiledseg.errors import TrainingError
from tiledseg.models import build_model
from tiledseg.prediction import Predictor


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


def truths_cut_at(predictor, samples, cut):
    for sample in samples:
        probability = predictor.probability(read_image(sample.image))[..., 0]
        assert 0 < (probability >= cut).mean() < 1
        write_mask(sample.mask, probability >= cut)


@pytest.mark.parametrize("shift", [-1.5, 0.0, 1.25])
def test_the_cut_that_made_the_truth_is_found(predictor, samples, shift):
    cut = 1 / (1 + np.exp(-shift))
    truths_cut_at(predictor, samples, cut)
    wanted = [predictor.probability(read_image(s.image))[..., 0] >= cut for s in samples]
    assert calibrate(predictor, samples) == pytest.approx(cut)
    for sample, mask in zip(samples, wanted, strict=True):
        differing = predictor.mask(read_image(sample.image)) != mask
        assert differing.mean() < 1e-3, "0.5 is the cut now"


def test_nothing_moves_where_nothing_is_gained(predictor, samples):
    truths_cut_at(predictor, samples, 0.5)
    before = predictor.probability(read_image(samples[0].image))
    assert calibrate(predictor, samples) == 0.5
    assert np.array_equal(predictor.probability(read_image(samples[0].image)), before)


def test_a_network_without_a_bias_is_refused(tiny_experiment, samples):
    image = keras.Input((None, None, 3))
    bare = keras.layers.Conv2D(1, 1, use_bias=False, activation="sigmoid", name="logits")(image)
    predictor = Predictor(keras.Model(image, bare), tiny_experiment())
    with pytest.raises(TrainingError, match=r"training\.calibrate"):
        calibrate(predictor, samples)
