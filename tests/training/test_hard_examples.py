import keras
import numpy as np
import pytest

from tiledseg.data.cache import PixelCache
from tiledseg.data.dataset import load_dataset
from tiledseg.images.reading import read_mask
from tiledseg.images.writing import write_mask
from tiledseg.training.hard_examples import HardExamples


class Sampler:
    """Remembers what it is told."""

    def set_losses(self, epoch, losses):
        self.told = epoch, losses


@pytest.fixture
def brightness():
    """A network that takes what is dark for an object, as it is in the discs."""
    pixels = keras.Input((None, None, 3))
    darkness = keras.layers.Conv2D(1, 1, activation="sigmoid")
    model = keras.Model(pixels, darkness(pixels))
    darkness.set_weights([np.full((1, 1, 3, 1), -0.1), np.array([48.0])])
    return model


def test_an_image_whose_mask_is_wrong_is_the_hardest(tiny_dataset, tiny_experiment, brightness):
    folder = tiny_dataset()
    wrong = sorted((folder / "train" / "masks").iterdir())[2]
    write_mask(wrong, ~read_mask(wrong))
    experiment = tiny_experiment(training={"batch_size": 3})
    samples = load_dataset(experiment.dataset, folder.parent).splits["train"]
    sampler = Sampler()
    hard = HardExamples(sampler, samples, experiment, PixelCache())
    hard.set_model(brightness)
    hard.on_epoch_end(4)
    epoch, losses = sampler.told
    assert epoch == 5
    assert losses.shape == (4,)
    assert losses.argmax() == 2
    assert losses[2] > 5 * np.delete(losses, 2).max()
    first = losses.copy()
    hard.on_epoch_end(5)
    np.testing.assert_array_equal(sampler.told[1], first)  # the same crops in every epoch
